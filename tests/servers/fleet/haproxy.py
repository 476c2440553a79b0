"""The runtime API of an HAProxy that does not run: as many of its commands as Podium sends."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass

# What `show stat` begins with, as HAProxy 2.8 writes it.
_NAMES = (
    "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,"
    "chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
    "check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,"
    "req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,"
    "rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,"
    "agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,"
    "wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,"
    "idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,"
    "agg_check_status,srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,h3req,proto,-,ssl_sess,"
    "ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,"
    "h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,h2_rst_stream_resp,"
    "h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,"
    "h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,"
    "h1_spliced_bytes_in,h1_spliced_bytes_out"
)
_COLUMNS = _NAMES.split(",")
_HEAD = f"# {_NAMES},"
_RATE = 5  # requests a second that each instance says it has
_processes = itertools.count(1000)


@dataclass
class _Server:
    address: str
    weight: int
    status: str = "UP"
    since: float = 0.0


class RuntimeApi:
    """One instance. What its servers are comes from the configuration that it was given, as for HAProxy."""

    def __init__(self) -> None:
        self.config = ""
        self.servers: dict[str, _Server] = {}
        self._said = (0, "")
        self.restart()

    def restart(self) -> None:
        """A new process, with the configuration file as it is now."""
        self.pid = next(_processes)
        self._said = (0, "")
        self.began = time.time()
        found = re.findall(r"^  server (\S+) (\S+) .* weight (\d+)$", self.config, re.MULTILINE)
        self.servers = {slot: _Server(address, int(weight), since=self.began) for slot, address, weight in found}

    def ask(self, line: str) -> str:
        return "".join(self._one(each.strip()) for each in line.split(";"))

    def _one(self, command: str) -> str:
        words = command.split()
        if command == "show stat":
            # Written once a second: what asks shares the machine with us.
            if self._said[0] != int(time.time()):
                self._said = (int(time.time()), self._stat())
            return self._said[1]
        if command == "show info":
            return f"Name: HAProxy\nVersion: 2.8.25\nPid: {self.pid}\nUptime_sec: {int(time.time() - self.began)}\n\n"
        self._said = (0, "")
        name = words[2].partition("/")[2] if len(words) > 2 else ""
        if words[:2] == ["add", "server"]:
            self.servers[name] = _Server(words[3], int(words[-1]), since=time.time())
            return "New server registered.\n\n"
        server = self.servers.get(name)
        if server is None:
            return "No such server.\n\n"
        if words[:2] == ["del", "server"]:
            del self.servers[name]
            return "Server deleted.\n\n"
        if words[:2] == ["set", "server"]:
            self._set(server, words[3:])
        return "\n"

    def _set(self, server: _Server, words: list[str]) -> None:
        if words[0] == "weight":
            server.weight = int(words[1])
        elif words[0] == "addr":
            server.address = f"{words[1]}:{words[3]}"
        else:
            # It says nobody's health: a server that fell is found healthy at once, and one in maintenance stays there.
            server.status = "MAINT" if words[1] == "maint" else "UP"
            server.since = time.time()

    def _stat(self) -> str:
        now = time.time()
        requests = int((now - self.began) * _RATE)
        lines = [_HEAD, _line("entry", "FRONTEND", status="OPEN", req_tot=requests, stot=requests)]
        each = requests // max(1, len(self.servers))
        for slot, server in self.servers.items():
            figures = {"stot": each, "hrsp_2xx": each, "lastchg": int(now - server.since), "addr": server.address}
            lines.append(
                _line("replicas", slot, status=server.status, weight=server.weight, uweight=server.weight, **figures)
            )
        lines.append(_line("replicas", "BACKEND", status="UP", req_tot=requests, stot=requests))
        return "\n".join(lines) + "\n\n"


def _line(proxy: str, server: str, **figures: object) -> str:
    known = {
        **dict.fromkeys(("qcur", "qmax", "scur", "smax", "bin", "bout", "econ", "eresp", "weight", "lastchg"), 0),
        **dict.fromkeys(("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "rate", "qtime", "rtime"), 0),
        **figures,
        "pxname": proxy,
        "svname": server,
    }
    return ",".join(str(known.get(column, "")) for column in _COLUMNS) + ","
