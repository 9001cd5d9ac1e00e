"""How loaded the processes of `new` are: those that listen on its ports on this machine."""

import psutil
from django.conf import settings


class LoadMeter:
    """Measures CPU and memory between two calls; the first call of a process measures nothing yet."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}

    def measure(self) -> dict[str, float]:
        """Return `cpu_percent` (of all cores) and `memory_percent` (of the machine); empty where none was found."""
        self._find()
        cpu, memory, measured = 0.0, 0.0, False
        for pid, process in list(self._processes.items()):
            try:
                used = process.cpu_percent(interval=None)
                memory += process.memory_percent()
            except psutil.Error:
                del self._processes[pid]  # it ended; its successor is found at the next look
                continue
            cpu, measured = cpu + used, True
        if not measured:
            return {}
        return {"cpu_percent": cpu / (psutil.cpu_count() or 1), "memory_percent": memory}

    def _find(self) -> None:
        ports = {settings.INGEST_PORT, settings.SITE_PORT, settings.LIVE_PORT}
        if len(self._processes) >= len(ports):
            return
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports
            if listens and connection.pid and connection.pid not in self._processes:
                try:
                    process = psutil.Process(connection.pid)
                    process.cpu_percent(interval=None)
                except psutil.Error:
                    continue  # it ended between the two questions
                self._processes[connection.pid] = process
