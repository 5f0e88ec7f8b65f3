"""What machine this is, without what would name it or its owner."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from loadpath.recording import Machine


def describe_machine() -> Machine:
    """The machine this process runs on. What cannot be found out is empty or 0."""
    cpu = _read("/proc/cpuinfo")
    return Machine(
        cores=_usable_cores(),
        cores_online=os.cpu_count() or 0,
        cpu_model=_cpu_model(cpu),
        memory_bytes=_memory_bytes(),
        system=platform.system(),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        cpu_quota_cores=_cpu_quota_cores(),
        virtualization=_virtualization(cpu),
    )


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _cpu_model(cpu: str) -> str:
    for key in ("model name", "Model", "Processor"):
        if name := _field(cpu, key, ":"):
            return name
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _cpu_quota_cores() -> float | None:
    """The limit of this process's control group (version 2, then 1), in cores; None: no limit."""
    group = _field(_read("/proc/self/cgroup"), "0:", ":") or "/"
    for folder in (f"/sys/fs/cgroup{group}", "/sys/fs/cgroup"):
        quota, _, period = _read(f"{folder}/cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            return int(quota) / int(period)
    quota = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
    period = _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us").strip()
    if quota.isdigit() and period.isdigit():
        return int(quota) / int(period)
    return None


def _virtualization(cpu: str) -> str:
    hints = []
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        hints.append("container")
    if "microsoft" in platform.release().lower():
        hints.append("WSL")
    elif "hypervisor" in _field(cpu, "flags", ":").split():
        vendor = _read("/sys/class/dmi/id/sys_vendor").strip()
        hints.append(f"virtual machine ({vendor})" if vendor else "virtual machine")
    return ", ".join(hints)


def _field(text: str, key: str, separator: str) -> str:
    """The value of the first line that begins with `key`; empty when there is none."""
    for line in text.splitlines():
        name, _, value = line.partition(separator)
        if name.strip() == key:
            return value.strip()
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
