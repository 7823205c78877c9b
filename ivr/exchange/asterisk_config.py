"""Writes the few files of Asterisk that this exchange needs.

Everything listens on the configured address, ARI on loopback; peers are known by address and
there is no anonymous endpoint, no registrar and no way from one call to another number.
"""

from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from ivr.exchange.settings import ExchangeSettings

HTTP = """\
[general]
enabled=yes
bindaddr={ari_host}
bindport={ari_port}
"""

ARI = """\
[general]
enabled=yes
pretty=no
allowed_origins=

[{user}]
type=user
read_only=no
password={password}
password_format=plain
"""

PJSIP = """\
[global]
type=global
user_agent=hotline
endpoint_identifier_order=ip
keep_alive_interval=60

[transport-udp]
type=transport
protocol=udp
bind={sip_host}:{sip_port}

[trunk]
type=endpoint
transport=transport-udp
context=hotline-in
disallow=all
allow=alaw,ulaw
dtmf_mode=auto_info
direct_media=no
rtp_symmetric=yes
force_rport=yes
rewrite_contact=yes
; silence between prompts must not look like a dead call
rtp_keepalive=1
rtp_timeout=60
rtp_timeout_hold=300
timers=yes
trust_id_inbound=yes
send_pai=yes
media_address={sip_host}
bind_rtp_to_media_address=yes
aors=trunk
{auth_line}
[trunk]
type=aor
contact=sip:{trunk_host}:{trunk_port}
qualify_frequency=30

[trunk]
type=identify
endpoint=trunk
{matches}
{auth}{registration}"""

AUTH = """
[trunk-auth]
type=auth
auth_type=userpass
username={username}
password={password}
"""

REGISTRATION = """
[trunk-registration]
type=registration
transport=transport-udp
outbound_auth=trunk-auth
server_uri=sip:{host}:{port}
client_uri=sip:{username}@{host}:{port}
retry_interval=30
forbidden_retry_interval=300
"""

EXTENSIONS = """\
[general]
static=yes
writeprotect=yes

; Whatever number was rung, the exchange decides. Only digits and +: a pattern of letters
; would also match h, and the call would begin anew when it ends.
[hotline-in]
exten => _[+0-9]!,1,NoOp(hotline)
 same => n,Stasis({app})
 same => n,Hangup()
exten => s,1,Goto(0,1)
exten => hotline,1,Goto(0,1)
"""

RTP = """\
[general]
rtpstart={rtp_low}
rtpend={rtp_high}
strictrtp=yes
icesupport=no
"""

MODULES = """\
[modules]
autoload=yes
; doors that this house does not need
noload => chan_sip.so
noload => chan_iax2.so
noload => chan_skinny.so
noload => chan_mgcp.so
noload => chan_unistim.so
noload => pbx_dundi.so
noload => res_phoneprov.so
noload => res_pjsip_endpoint_identifier_anonymous.so
noload => res_pjsip_registrar.so
"""


def files(settings: ExchangeSettings) -> dict[str, str]:
    """Name to content, for /etc/asterisk."""
    asterisk, trunk = settings.asterisk, settings.trunk
    ari = urlsplit(asterisk.url)
    peers = [*settings.peers, *([trunk.host] if trunk else [])]
    secret = trunk is not None and bool(trunk.password)
    pjsip = PJSIP.format(
        sip_host=settings.sip_host,
        sip_port=settings.sip_port,
        trunk_host=trunk.host if trunk else "127.0.0.1",
        trunk_port=trunk.port if trunk else 5060,
        auth_line="outbound_auth=trunk-auth\n" if secret else "",
        matches="\n".join(
            f"match={ip_network(peer, strict=False)}" for peer in dict.fromkeys(peers)
        ),
        auth=AUTH.format(username=trunk.username, password=trunk.password)
        if trunk is not None and secret
        else "",
        registration=REGISTRATION.format(host=trunk.host, port=trunk.port, username=trunk.username)
        if trunk is not None and trunk.register
        else "",
    )
    return {
        "http.conf": HTTP.format(ari_host=ari.hostname, ari_port=ari.port or 8088),
        "ari.conf": ARI.format(user=asterisk.username, password=asterisk.password),
        "pjsip.conf": pjsip,
        "extensions.conf": EXTENSIONS.format(app=asterisk.app),
        "rtp.conf": RTP.format(rtp_low=settings.rtp_ports[0], rtp_high=settings.rtp_ports[1]),
        "modules.conf": MODULES,
    }


def write(settings: ExchangeSettings, folder: Path) -> list[Path]:
    """Put the files into `folder`, readable by its owner only; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files(settings).items():
        path = folder / name
        path.touch(mode=0o640)
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
