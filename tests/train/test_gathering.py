"""What ranks report to each other → the GPU of each, or an error that names ranks and hosts."""

import dataclasses
import json

import pytest

from sentispark.errors import SetupError
from sentispark.train.gathering import RankInfo, agreed_gpus, gpu_index

GPU = RankInfo("a", gpus=("u0", "u1"), given="0", torch="2.13.0+cu130", cuda="13.0", sentispark="1")
OTHER = dataclasses.replace(GPU, host="b", gpus=("u2", "u3"))
NONE = RankInfo("a", torch="2.13.0+cpu", cuda="", sentispark="1")


def sentence(told, wanted="auto"):
    with pytest.raises(SetupError) as caught:
        agreed_gpus(told, wanted)
    return str(caught.value)


def test_information_is_unchanged_by_being_sent():
    told = dataclasses.replace(GPU, address="10.0.0.5", port=7)
    assert RankInfo.from_json(told.to_json()) == told


def test_unknown_fields_of_another_version_are_left_out():
    assert RankInfo.from_json(json.dumps({"host": "a", "sentispark": "9", "mood": "good"})).sentispark == "9"


class TestAgreed:
    """All ranks come to the same result from the same reports."""

    def test_each_rank_has_the_gpu_that_spark_gave_it(self):
        assert agreed_gpus([GPU, dataclasses.replace(GPU, given="1"), OTHER], "auto") == [0, 1, 0]

    def test_if_spark_gives_none_the_ranks_of_a_host_divide_its_gpus(self):
        told = [dataclasses.replace(one, given=None) for one in (GPU, OTHER, GPU)]
        assert agreed_gpus(told, "auto") == [0, 0, 1]

    @pytest.mark.parametrize("wanted", ["auto", "cpu"])
    def test_without_gpus_all_compute_on_cpus(self, wanted):
        assert agreed_gpus([NONE, NONE], wanted) is None

    def test_unwanted_gpus_are_ignored(self):
        assert agreed_gpus([GPU, dataclasses.replace(NONE, given="0")], "cpu") is None

    def test_if_only_some_hosts_have_gpus_auto_uses_cpus(self, caplog):
        assert agreed_gpus([dataclasses.replace(GPU, given=None), dataclasses.replace(NONE, host="b")], "auto") is None
        assert "there is no GPU for rank 1 on b" in caplog.text

    def test_if_only_some_hosts_have_gpus_cuda_is_refused(self):
        assert sentence([dataclasses.replace(GPU, given=None), dataclasses.replace(NONE, host="b")], "cuda") == (
            "Device 'cuda' needs a GPU for each rank. There is none for rank 1 on b. "
            "Give each task a GPU, use fewer ranks, or use device 'cpu'."
        )

    @pytest.mark.parametrize("wanted", ["auto", "cuda"])
    def test_two_ranks_on_one_gpu(self, wanted):
        assert sentence([GPU, OTHER, GPU], wanted) == (
            "Each rank needs a GPU of its own. One GPU is shared by rank 0 on a and rank 2 on a. Give each task a "
            "whole one (spark.task.resource.gpu.amount=1), use fewer ranks, or use device 'cpu'."
        )

    def test_one_gpu_seen_by_two_containers_is_known_by_its_uuid(self):
        inside = dataclasses.replace(GPU, host="b", gpus=("u0",))
        assert "One GPU is shared by rank 0 on a and rank 1 on b." in sentence([GPU, inside])

    def test_gpus_without_a_uuid_are_distinguished_by_their_number(self):
        told = [dataclasses.replace(GPU, gpus=("", ""), given=given) for given in "01"]
        assert agreed_gpus(told, "cuda") == [0, 1]
        assert "One GPU is shared by" in sentence([told[0], told[0]])

    def test_a_gpu_given_to_a_torch_without_cuda(self):
        assert sentence([GPU, dataclasses.replace(NONE, host="b", given="0")]) == (
            "GPU '0' was given to rank 1 on b, but torch 2.13.0+cpu there was built without CUDA. Install one with "
            "CUDA, or use device 'cpu'."
        )

    def test_a_gpu_without_a_driver(self):
        assert sentence([dataclasses.replace(GPU, gpus=())]) == (
            "GPU '0' was given to rank 0 on a, but torch 2.13.0+cu130 (CUDA 13.0) sees no GPU there. Look at the "
            "driver with nvidia-smi, or use device 'cpu'."
        )

    def test_a_gpu_that_torch_does_not_see(self):
        assert sentence([dataclasses.replace(GPU, given="MIG-7", listed="0,1")]) == (
            "GPU 'MIG-7' was given to rank 0 on a, but torch sees only u0, u1 of CUDA_VISIBLE_DEVICES=0,1 there. "
            "Name it in the executor's CUDA_VISIBLE_DEVICES, or use device 'cpu'."
        )

    @pytest.mark.parametrize("wanted", ["auto", "cpu", "cuda"])
    @pytest.mark.parametrize(("name", "other"), [("torch", "2.12.1"), ("sentispark", "2")])
    def test_different_versions(self, wanted, name, other):
        first = getattr(GPU, name)
        told = [GPU, dataclasses.replace(OTHER, **{name: other}), dataclasses.replace(OTHER, given="1")]
        assert sentence(told, wanted) == (
            f"All ranks need one version of {name}. There is rank 0 on a and rank 2 on b: {first.split('+')[0]}; "
            f"rank 1 on b: {other}. Install the same everywhere."
        )

    def test_builds_of_one_version_work_together_on_cpus_and_not_on_gpus(self):
        other = dataclasses.replace(OTHER, torch="2.13.0+cu126", cuda="12.6")
        assert agreed_gpus([GPU, other], "cpu") is None
        assert "rank 1 on b: 2.13.0+cu126 (CUDA 12.6)" in sentence([GPU, other])


@pytest.mark.parametrize(
    ("given", "listed", "gpus", "expected"),
    [
        ("0", None, ["u0", "u1"], 0),
        ("1", None, ["u0", "u1"], 1),
        ("2", None, ["u0", "u1"], None),
        ("GPU-u1", None, ["u0", "u1"], 1),
        ("GPU-u9", None, ["u0", "u1"], None),
        ("GPU-u9", None, [], None),
        ("3", "2,3", ["u2", "u3"], 1),
        ("0", "2,3", ["u2", "u3"], 0),
        ("0", "", [], None),
        ("0", "-1", [], None),
        ("GPU-8932f937-d72c", "GPU-11,GPU-8932f937", ["", ""], 1),
        ("MIG-5", "MIG-5", ["x"], 0),
        ("MIG-5", None, ["x"], None),
        ("MIG-GPU-1/2/0", "MIG-GPU-1/2/0", [""], 0),
        ("1", "1", [], None),
    ],
)
def test_the_number_of_a_gpu(given, listed, gpus, expected):
    assert gpu_index(given, listed, gpus) == expected
