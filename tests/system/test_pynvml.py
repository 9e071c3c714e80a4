"""NVIDIA's own Python binding (PyPI: nvidia-ml-py) works on the simulator as it is."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("pynvml", reason="the package nvidia-ml-py is not installed")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("REEVE_BUILD", ROOT / "build"))
LIBRARY = BUILD / "sim" / "libnvidia-ml.so.1"

if not LIBRARY.exists():
    pytest.skip(f"{LIBRARY} is not built", allow_module_level=True)
if b"__asan_init" in LIBRARY.read_bytes():
    pytest.skip("a plain Python cannot load a library built with a sanitizer", allow_module_level=True)

PRELUDE = """
import json
import pynvml as n

def ask(function, *args):
    try:
        return function(*args)
    except n.NVMLError as e:
        return f"NVMLError {e.value}"

n.nvmlInit()
handles = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
"""


class Sim:
    """A scenario, played to Python programs of their own (the loader reads its path at the start)."""

    def __init__(self, folder):
        self.folder = folder
        self.env = dict(os.environ, LD_LIBRARY_PATH=str(LIBRARY.parent), REEVE_SIM_STATE=str(folder / "state"))
        self.env.pop("CUDA_VISIBLE_DEVICES", None)

    def play(self, yaml):
        path = self.folder / "scenario.yaml"
        path.write_text(textwrap.dedent(yaml))
        self.env["REEVE_SIM_SCENARIO"] = str(path)
        return self

    def run(self, code):
        """Runs CODE behind the prelude and returns what its variable `out` holds."""
        program = PRELUDE + textwrap.dedent(code) + "\nprint(json.dumps(out))\n"
        done = subprocess.run([sys.executable, "-c", program], env=self.env, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def sim(tmp_path):
    return Sim(tmp_path)


def test_a_device_tells_what_it_is(sim):
    out = sim.play("name: t\ndevices: [{model: h100, count: 2}]").run("""
        h = handles[1]
        out = {
            "name": n.nvmlDeviceGetName(h),
            "uuid": n.nvmlDeviceGetUUID(h),
            "serial": n.nvmlDeviceGetSerial(h),
            "pci": n.nvmlDeviceGetPciInfo(h).busId,
            "device_id": n.nvmlDeviceGetPciInfo(h).pciDeviceId,
            "capability": n.nvmlDeviceGetCudaComputeCapability(h),
            "architecture": n.nvmlDeviceGetArchitecture(h),
            "cores": n.nvmlDeviceGetNumGpuCores(h),
            "driver": n.nvmlSystemGetDriverVersion(),
            "cuda": n.nvmlSystemGetCudaDriverVersion(),
            "nvml": n.nvmlSystemGetNVMLVersion(),
            "index": n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(n.nvmlDeviceGetUUID(h))),
            "mig": n.nvmlDeviceGetMigMode(h),
            "minor": n.nvmlDeviceGetMinorNumber(h),
        }
        """)
    assert out["name"] == "NVIDIA H100 80GB HBM3"
    assert out["uuid"].startswith("GPU-") and len(out["uuid"]) == 40
    assert out["serial"].isdigit()
    assert out["pci"] == "00000000:06:00.0"
    assert out["device_id"] == 0x233010DE
    assert out["capability"] == [9, 0]
    assert out["architecture"] == 9
    assert out["cores"] == 16896
    assert out["driver"] == "535.183.01" and out["nvml"] == "12.535.183.01" and out["cuda"] == 12020
    assert out["index"] == 1 and out["minor"] == 1
    assert out["mig"] == [0, 0]


def test_a_device_tells_what_it_does(sim):
    out = sim.play("name: t\ndevices: [{model: h100, load: 50, memory: 1000, ecc_corrected: 4}]").run("""
        h = handles[0]
        memory, memory2 = n.nvmlDeviceGetMemoryInfo(h), n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)
        fields = n.nvmlDeviceGetFieldValues(h, [n.NVML_FI_DEV_ECC_SBE_VOL_TOTAL, n.NVML_FI_DEV_MEMORY_TEMP,
                                                n.NVML_FI_DEV_RETIRED_SBE])
        out = {
            "util": [n.nvmlDeviceGetUtilizationRates(h).gpu, n.nvmlDeviceGetUtilizationRates(h).memory],
            "memory": [memory.total, memory.free, memory.used],
            "memory2": [memory2.total, memory2.reserved, memory2.free, memory2.used],
            "power": n.nvmlDeviceGetPowerUsage(h),
            "limits": n.nvmlDeviceGetPowerManagementLimitConstraints(h),
            "temperature": n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU),
            "clock": n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM),
            "most": n.nvmlDeviceGetMaxClockInfo(h, n.NVML_CLOCK_SM),
            "reasons": n.nvmlDeviceGetCurrentClocksEventReasons(h),
            "pstate": n.nvmlDeviceGetPerformanceState(h),
            "ecc": n.nvmlDeviceGetTotalEccErrors(h, n.NVML_MEMORY_ERROR_TYPE_CORRECTED, n.NVML_VOLATILE_ECC),
            "remapped": n.nvmlDeviceGetRemappedRows(h),
            "fan": ask(n.nvmlDeviceGetFanSpeed, h),
            "threshold": ask(n.nvmlDeviceGetTemperatureThreshold, h, 0),
            "fields": [[f.nvmlReturn, f.value.ullVal if f.nvmlReturn == 0 else None] for f in fields],
            "encoder": n.nvmlDeviceGetEncoderUtilization(h),
            "pcie": [n.nvmlDeviceGetCurrPcieLinkGeneration(h), n.nvmlDeviceGetCurrPcieLinkWidth(h)],
            "bar1": n.nvmlDeviceGetBAR1MemoryInfo(h).bar1Total,
            "nvlink": [n.nvmlDeviceGetNvLinkState(h, 17), ask(n.nvmlDeviceGetNvLinkState, h, 18)],
        }
        """)
    mib = 1 << 20
    assert out["util"] == [50, 23]
    assert out["memory"] == [81559 * mib, (81559 - 479 - 1000) * mib, 1479 * mib]
    assert out["memory2"] == [81559 * mib, 479 * mib, (81559 - 479 - 1000) * mib, 1000 * mib]
    assert out["power"] == 380000 and out["limits"] == [200000, 700000]
    assert 30 <= out["temperature"] <= 70
    assert out["clock"] == out["most"] == 1980
    assert out["reasons"] == 0 and out["pstate"] == 0
    assert out["ecc"] == 4 and out["remapped"] == [0, 0, 0, 0]
    assert out["fan"] == "NVMLError 3" and out["threshold"] == "NVMLError 3"
    assert out["fields"][0] == [0, 4] and out["fields"][1][0] == 0 and out["fields"][2] == [3, None]
    assert out["encoder"][0] == 0 and out["pcie"] == [5, 16]
    assert out["bar1"] > 0 and out["nvlink"] == [1, "NVMLError 2"]


def test_a_desktop_board_says_not_supported_where_it_should(sim):
    out = sim.play("name: t\ndevices: [{model: gtx-1080}]").run("""
        h = handles[0]
        out = [ask(f, h) for f in (n.nvmlDeviceGetSerial, n.nvmlDeviceGetTotalEnergyConsumption,
                                   n.nvmlDeviceGetEccMode, n.nvmlDeviceGetMigMode, n.nvmlDeviceGetFanSpeed)]
        """)
    assert out == ["NVMLError 3"] * 4 + [0]


def test_energy_grows_and_the_next_process_goes_on_counting(sim):
    sim.play("name: t\ndevices: [{load: 100}]")
    code = """
        import time
        first = n.nvmlDeviceGetTotalEnergyConsumption(handles[0])
        time.sleep(0.3)
        out = [first, n.nvmlDeviceGetTotalEnergyConsumption(handles[0])]
        """
    first = sim.run(code)
    second = sim.run(code)
    assert first[0] < first[1] <= second[0] < second[1]
    assert 0.25 * 316000 < first[1] - first[0] < 3 * 316000


def test_a_process_with_the_variable_is_the_devices_client(sim):
    sim.play("name: t\ndevices: [{count: 2}]\nclient: {memory: 2GiB, load: 75}")
    look = """
        out = {"uuids": [n.nvmlDeviceGetUUID(h) for h in handles]}
        forms = {"v3": n.nvmlDeviceGetComputeRunningProcesses, "v2": n.nvmlDeviceGetComputeRunningProcesses_v2}
        for name, f in forms.items():
            out[name] = [[[p.pid, p.usedGpuMemory] for p in f(h)] for h in handles]
        out["util"] = [n.nvmlDeviceGetUtilizationRates(h).gpu for h in handles]
        out["used"] = [n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2).used for h in handles]
        out["sm"] = [[s.pid, s.smUtil] for s in ask(n.nvmlDeviceGetProcessUtilization, handles[1], 0)
                     if not isinstance(s, str)]
        """
    before = sim.run(look)
    assert before["v3"] == [[], []] and before["util"] == [0, 0]

    client = subprocess.Popen(["sleep", "60"], env=dict(os.environ, CUDA_VISIBLE_DEVICES=before["uuids"][1]))
    try:
        # Between fork and exec the child still has our environment.
        while b"CUDA_VISIBLE_DEVICES" not in pathlib.Path(f"/proc/{client.pid}/environ").read_bytes():
            time.sleep(0.01)
        during = sim.run(look)
    finally:
        client.kill()
        client.wait()
    assert during["v3"] == during["v2"] == [[], [[client.pid, 2 << 30]]]
    assert during["util"] == [0, 75] and during["used"] == [0, 2 << 30]
    assert during["sm"] == [[client.pid, 75]]
    assert sim.run(look)["v3"] == [[], []]


def test_errors_of_the_driver_are_pynvmls_exceptions(sim):
    out = sim.play("""
        name: t
        devices: [{count: 2}]
        faults: [{kind: lost, device: 0, from: 0.5}]
        """).run("""
        import time
        events = n.nvmlEventSetCreate()
        n.nvmlDeviceRegisterEvents(handles[0], n.nvmlEventTypeXidCriticalError, events)
        event = n.nvmlEventSetWait_v2(events, 5000)
        out = [event.eventData, ask(n.nvmlDeviceGetName, handles[0]), n.nvmlDeviceGetName(handles[1]),
               ask(n.nvmlDeviceGetHandleByIndex, 0), ask(n.nvmlDeviceGetHandleByIndex, 2),
               ask(n.nvmlDeviceGetHandleByUUID, "GPU-x")]
        n.nvmlEventSetFree(events)
        """)
    assert out == [79, "NVMLError 15", "NVIDIA GeForce RTX 3080", "NVMLError 15", "NVMLError 2", "NVMLError 6"]


def test_a_scenario_that_cannot_be_read_is_told_on_standard_error(sim):
    sim.play("devices: [{model: rtx-9999}]")
    done = subprocess.run(
        [sys.executable, "-c", "import pynvml; pynvml.nvmlInit()"],
        env=sim.env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "model 'rtx-9999' is not in the catalogue" in done.stderr


@pytest.mark.parametrize("name", ["busy", "h100x8", "hung", "lost", "mixed", "na", "rtx3080", "xid"])
def test_every_scenario_that_comes_along_plays_by_its_name(sim, name):
    sim.env["REEVE_SIM_SCENARIO"] = name
    out = sim.run("out = [n.nvmlDeviceGetName(h) for h in handles]")
    assert out


def test_a_missing_function_is_found_missing(sim):
    out = sim.play("name: t\ndevices: [{}]").run("""
        out = [ask(n.nvmlDeviceGetAccountingMode, handles[0]),
               ask(n.nvmlUnitGetCount), ask(n.nvmlDeviceGetGpuFabricInfo, handles[0], None)]
        """)
    assert out == [0, "NVMLError 13", "NVMLError 13"]
