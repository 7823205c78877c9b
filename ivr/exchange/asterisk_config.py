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
; nobody may send a call elsewhere, or ask what goes on here
allow_transfer=no
allow_subscribe=no
identify_by=ip
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
; a box that is off is known to be off, and a call to it fails at once
qualify_frequency=15

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
; A number that is withheld may come along all the same, marked so: the exchange must know.
exten => _[+0-9]!,1,NoOp(hotline)
 same => n,Stasis({app},${{CALLERID(num-pres)}})
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
; Only what this house needs: no manager port, no voicemail, no other protocol, no other way in.
autoload=no
{loads}
"""
NEEDED = """
    res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb
    res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub chan_pjsip res_pjsip_sdp_rtp res_rtp_asterisk
    res_pjsip_endpoint_identifier_ip res_pjsip_caller_id res_pjsip_nat res_pjsip_dtmf_info
    res_pjsip_rfc3326 res_pjsip_logger
    res_pjsip_outbound_authenticator_digest res_pjsip_outbound_registration
    codec_alaw codec_ulaw codec_a_mu codec_resample format_wav format_pcm
    pbx_config func_callerid func_talkdetect bridge_simple bridge_softmix bridge_native_rtp
    res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_playback res_stasis_recording
    res_stasis_snoop
    app_stasis res_ari res_ari_model res_ari_asterisk res_ari_applications res_ari_events
    res_ari_channels res_ari_bridges res_ari_playbacks res_ari_recordings res_ari_endpoints
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
        "modules.conf": MODULES.format(
            loads="\n".join(f"load => {name}.so" for name in NEEDED.split())
        ),
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
