"""sipp as a crowd of callers: scenarios written here, each run to its end."""

import subprocess
from pathlib import Path

from softphone import free_port

INVITE = """
  <send retrans="500"><![CDATA[
INVITE sip:hotline@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:{caller}@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [{media}] RTP/AVP {law} {events}
a=rtpmap:{law} {codec}/8000
a=rtpmap:{events} telephone-event/8000
a=ptime:20
]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
"""

ANSWERED = """  <recv response="200" rtd="true" rrs="true"/>
  <send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
"""

KEY = """  <nop><action><exec play_dtmf="{key}"/></action></nop>
  <pause milliseconds="{pause}"/>
"""

INFO = """  <send retrans="500"><![CDATA[
INFO [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 INFO
Max-Forwards: 70
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal={key}
Duration=160
]]></send>
  <recv response="200"/>
"""

TALK = """  <nop><action><exec rtp_stream="{sound},1,{law},PCMA/8000"/></action></nop>
  <pause milliseconds="{pause}"/>
"""

PAUSE = """  <pause milliseconds="{pause}"/>
"""

# [branch-N]: the INVITE's branch, so many messages before.
CANCEL = """  <recv response="180"/>
  <send retrans="500"><![CDATA[
CANCEL sip:hotline@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-3];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 CANCEL
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
  <recv response="487"/>
  <send><![CDATA[
ACK sip:hotline@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-6];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
"""

REFUSED = """  <recv response="{code}"/>
  <send><![CDATA[
ACK sip:hotline@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-4];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
"""

BYE = """  <send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:hotline@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 9 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
"""

THEIR_BYE = """  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""

DEFAULTS = {
    "caller": "13812345678",
    "law": 8,
    "codec": "PCMA",
    "events": 96,
    "key": 1,
    "pause": 500,
    "sound": "",
    "code": 486,
    "media": "auto_media_port",  # sipp sends keys from there, streams from rtpstream_audio_port
}


BINDS = 5
PORTS_A_CALL = 4  # that sipp takes for sound, one call after the other


def run(
    folder: Path, port: int, steps: str, *, calls: int = 1, seconds: float = 30, **values: object
) -> None:
    """Make `calls` calls at once to a port; raises AssertionError unless each went as written."""
    for name, value in (DEFAULTS | values).items():
        steps = steps.replace("{" + name + "}", str(value))
    script = folder / "scenario.xml"
    script.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="crowd">\n'
        f"{steps}</scenario>\n"
    )
    command = ["sipp", f"127.0.0.1:{port}", "-sf", str(script), "-i", "127.0.0.1", "-nostdin"]
    command += ["-m", str(calls), "-l", str(calls), "-r", str(calls), "-rp", "100"]
    command += ["-trace_err", "-timeout", str(int(seconds)), "-timeout_error"]
    for _ in range(BINDS):
        for old in folder.glob("*errors.log"):
            old.unlink()
        own, media = free_port(), free_port(pair=True)
        while any(-2 < taken - media < PORTS_A_CALL * (calls + 1) for taken in (own, port)):
            media = free_port(pair=True)  # sound would be taken for SIP
        done = subprocess.run(
            [*command, "-p", str(own), "-mp", str(media)],
            cwd=folder, capture_output=True, timeout=seconds + 10, check=False,
        )  # fmt: skip
        errors = "".join(p.read_text(errors="replace") for p in folder.glob("*errors.log"))
        if "Unable to bind" not in errors:  # it takes a port for pictures that nobody offered it
            break
    assert done.returncode == 0, f"sipp ended with {done.returncode}: {errors[-3000:]}"
