"""The EC2 instance types that `launch.py` knows, with their prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CPU_WORKERS", "GPU_WORKERS", "INSTANCES", "PRICES", "Instance"]


@dataclass(frozen=True)
class Instance:
    """An EC2 instance type.

    Attributes
    ----------
    cores : int
        Its vCPUs.
    gpus : int
    usd_per_hour : float
        The price on demand, in US dollars, without Amazon EMR's own fee.
    """

    cores: int
    gpus: int
    usd_per_hour: float


# Linux, shared tenancy, from several public copies of AWS's price list that agree. For the prices of today and of other
# regions see https://aws.amazon.com/ec2/pricing/on-demand/.
PRICES = "on-demand prices of us-east-1 in August 2026"
# Each has at least 4 GiB of memory for a vCPU, of which EMR gives YARN about 3.
INSTANCES: Mapping[str, Instance] = {
    "m5.xlarge": Instance(cores=4, gpus=0, usd_per_hour=0.192),
    "m5.2xlarge": Instance(cores=8, gpus=0, usd_per_hour=0.384),
    "m5.4xlarge": Instance(cores=16, gpus=0, usd_per_hour=0.768),
    "m6i.xlarge": Instance(cores=4, gpus=0, usd_per_hour=0.192),
    "m6i.2xlarge": Instance(cores=8, gpus=0, usd_per_hour=0.384),
    "m6i.4xlarge": Instance(cores=16, gpus=0, usd_per_hour=0.768),
    "g4dn.xlarge": Instance(cores=4, gpus=1, usd_per_hour=0.526),
    "g4dn.12xlarge": Instance(cores=48, gpus=4, usd_per_hour=3.912),
    "g5.xlarge": Instance(cores=4, gpus=1, usd_per_hour=1.006),
    "g5.2xlarge": Instance(cores=8, gpus=1, usd_per_hour=1.212),
    "g5.12xlarge": Instance(cores=48, gpus=4, usd_per_hour=5.672),
    "g6.xlarge": Instance(cores=4, gpus=1, usd_per_hour=0.8048),
    "g6.2xlarge": Instance(cores=8, gpus=1, usd_per_hour=0.9776),
    "g6.12xlarge": Instance(cores=48, gpus=4, usd_per_hour=4.6016),
}
# Two types of each kind, as spot instances of one alone may be sold out.
CPU_WORKERS = ("m5.2xlarge", "m6i.2xlarge")
GPU_WORKERS = ("g5.xlarge", "g6.xlarge")
