"""
The memory of devices.
"""

import psutil


def free_memory_from(devices) -> float:
    """
    The memory that each of the devices has free, in bytes.

    Parameters
    ----------
    devices
        Devices of one kind. Those of a CPU share the memory of the machine.
    """
    if devices[0].platform == "cpu":
        return psutil.virtual_memory().available / len(devices)
    statistics = [device.memory_stats() or {} for device in devices]
    free = [
        s["bytes_limit"] - s["bytes_in_use"] for s in statistics if "bytes_limit" in s
    ]
    return min(free, default=psutil.virtual_memory().available / len(devices))
