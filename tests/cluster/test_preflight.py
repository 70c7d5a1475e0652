"""Why a barrier stage cannot run, reported before it starts."""

import platform
from types import SimpleNamespace

import pytest

from sentispark.cluster.preflight import barrier_obstacle, hosts_without, require_shared, require_slots, task_slots
from sentispark.errors import SetupError
from sentispark.files import Folder

NO_ROOM = (
    "'numWorkers' must be at most the number of tasks that run at once ({slots}). Got {workers}. "
    "Add executors or cores, or lower numWorkers."
)
DYNAMIC = (
    "Barrier stages need 'spark.dynamicAllocation.enabled' to be false (SPARK-24942). It is true. "
    "Start the session with it off and with enough executors."
)


class Cluster:
    """A stand-in for a session, with what preflight reads; `slots` are the slots it has at each reading."""

    def __init__(self, *, master, slots, dynamic="false"):
        self.slots = iter(slots)
        scala = SimpleNamespace(
            maxNumConcurrentTasks=lambda profile: next(self.slots),
            resourceProfileManager=lambda: SimpleNamespace(defaultResourceProfile=lambda: None),
        )
        conf = {"spark.dynamicAllocation.enabled": dynamic}
        self.sparkContext = SimpleNamespace(master=master, getConf=lambda: conf, _jsc=SimpleNamespace(sc=lambda: scala))


class Clock:
    """A clock that only waiting moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("slots", [3, 4, 100])
def test_with_enough_slots_and_a_fixed_size_there_is_no_obstacle(slots):
    assert barrier_obstacle(workers=3, slots=slots, dynamic_allocation=False) is None


def test_too_few_slots_are_an_obstacle():
    assert barrier_obstacle(workers=4, slots=3, dynamic_allocation=False) == NO_ROOM.format(slots=3, workers=4)


@pytest.mark.parametrize("slots", [1, 100])
def test_dynamic_allocation_is_an_obstacle_whatever_the_slots(slots):
    assert barrier_obstacle(workers=4, slots=slots, dynamic_allocation=True) == DYNAMIC


def test_executors_that_are_still_starting_are_waited_for():
    clock, cluster = Clock(), Cluster(master="yarn", slots=[0, 1, 2, 3])
    require_slots(cluster, 2, clock=clock, wait=clock.wait)
    assert next(cluster.slots) == 3  # it stopped reading as soon as there were enough slots
    assert clock.now == 101.0


def test_executors_that_never_come_are_waited_for_half_a_minute():
    clock = Clock()
    with pytest.raises(SetupError) as caught:
        require_slots(Cluster(master="spark://host:7077", slots=[1] * 1000), 2, clock=clock, wait=clock.wait)
    assert str(caught.value) == NO_ROOM.format(slots=1, workers=2)
    assert clock.now == 130.0


@pytest.mark.parametrize("master", ["local", "local[1]"])
def test_slots_of_a_local_master_are_not_waited_for(master):
    clock = Clock()
    with pytest.raises(SetupError):
        require_slots(Cluster(master=master, slots=[1]), 2, clock=clock, wait=clock.wait)
    assert clock.now == 100.0


def test_dynamic_allocation_is_refused_without_waiting():
    clock = Clock()
    with pytest.raises(SetupError) as caught:
        require_slots(Cluster(master="yarn", slots=[8], dynamic="true"), 2, clock=clock, wait=clock.wait)
    assert (str(caught.value), clock.now) == (DYNAMIC, 100.0)


def test_spark_on_two_cores_runs_two_tasks_at_once(spark):
    assert task_slots(spark) == 2
    require_slots(spark, 2)


def test_three_workers_do_not_fit_on_two_cores(spark):
    with pytest.raises(SetupError) as caught:
        require_slots(spark, 3)
    assert str(caught.value) == NO_ROOM.format(slots=2, workers=3)


class TestSharedFolder:
    """A folder that only the driver sees is refused before anything is written there."""

    def test_tasks_look_on_their_own_hosts(self, spark, tmp_path):
        assert hosts_without(spark, str(tmp_path), 2) == []
        assert hosts_without(spark, f"{tmp_path}/nowhere", 2) == [platform.node()]

    def test_on_a_cluster_a_local_folder_is_tested_and_unchanged_afterwards(self, spark, tmp_path):
        cluster = SimpleNamespace(conf={"spark.master": "spark://somewhere:7077"}, range=spark.range)
        require_shared(cluster, Folder(str(tmp_path)), workers=2)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "dataset.json").touch()
        require_shared(cluster, Folder(str(tmp_path)), workers=2, file="dataset.json")
        assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]

    def test_hosts_that_do_not_see_it_are_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr("sentispark.cluster.preflight.hosts_without", lambda *_: ["node-3", "node-7"])
        cluster = SimpleNamespace(conf={"spark.master": "yarn"})
        with pytest.raises(SetupError) as caught:
            require_shared(cluster, Folder(str(tmp_path)), workers=2)
        assert str(caught.value) == (
            f"'{tmp_path}' must be a folder that all executors share with the driver. node-3, node-7 cannot see what "
            "the driver sees there. Name one on HDFS, an object store or a shared disk."
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("master", "url"), [("local[2]", "/tmp"), ("local-cluster[2,1,1024]", "/tmp"), ("yarn", "s3://bucket/folder")]
    )
    def test_a_folder_that_all_see_is_not_tested(self, master, url):
        require_shared(SimpleNamespace(conf={"spark.master": master}), Folder(url), workers=2)
