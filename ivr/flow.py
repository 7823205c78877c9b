"""The two calls of this house, each from top to bottom: INBOUND and RETURN."""

from ivr.engine import WRONG, Await, Effect, End, Find, Flow, Fork, Menu, Record, Step, Tell

AT_ONCE: frozenset[str] = frozenset()
WRONG_ONLY = frozenset({WRONG})


def _flow(*steps: Step) -> Flow:
    return {step.name: step for step in steps}


INBOUND: Flow = _flow(
    # the ring
    Fork("ring", by="situation", to={"closed": "closed", "open_request": "greet_again"}, otherwise="greet"),
    Tell("closed", ("I40",), then="speak"),
    Menu("greet", ("I01", "I02"), keys={"0": "person"}, silence="speak", wrong="speak", wait="opening", patient=AT_ONCE),
    Menu("greet_again", ("I01", "I03"), keys={"1": "speak", "2": "progress", "0": "person"}, silence="speak_freely", wrong="speak_freely", again=("I03",)),

    # how it goes with the last request
    Fork("progress", by="open_requests", to={"2": "progress_two"}, otherwise="progress_one"),
    Menu("progress_one", ("I04:1", "I05"), keys={"1": "add_to_request", "0": "person"}, repeats="2", silence="thanks", wrong="speak_freely", patient=WRONG_ONLY, informs=True),
    Menu("progress_two", ("I04:1", "I04:2", "I05"), keys={"1": "add_to_request", "0": "person"}, repeats="2", silence="thanks", wrong="speak_freely", patient=WRONG_ONLY, informs=True),
    Record("add_to_request", ("I10", "beep"), then="kept", empty="nothing_to_add", effect=Effect.KEEP_WITH_REQUEST, keys={"0": "person"}),
    Fork("nothing_to_add", by="empty", to={"1": "add_to_request_once_more"}, otherwise="ring_back"),
    Record("add_to_request_once_more", ("I22", "beep"), then="kept", empty="nothing_to_add", effect=Effect.KEEP_WITH_REQUEST, keys={"0": "person"}),

    # the message
    Tell("speak_freely", ("I21",), then="speak"),
    Fork("speak", by="caller", to={"known": "message"}, otherwise="message_withheld"),
    Record("message", ("I10", "beep"), then="kept", empty="nothing", effect=Effect.KEEP, keys={"0": "person"}),
    Record("message_withheld", ("I11", "beep"), then="kept", empty="nothing", effect=Effect.KEEP, keys={"0": "person"}),
    Menu("kept", ("I12",), keys={"2": "again", "1": "add", "0": "person"}, replays="3", silence="closing", wrong="closing", patient=WRONG_ONLY),
    Record("again", ("I10", "beep"), then="kept", empty="nothing", effect=Effect.KEEP_INSTEAD, keys={"0": "person"}),
    Record("add", ("O24", "beep"), then="kept", empty="nothing", effect=Effect.KEEP, keys={"0": "person"}),

    # nothing was heard
    Fork("nothing", by="kept", to={"None": "nothing_yet"}, otherwise="closing"),
    Fork("nothing_yet", by="empty", to={"1": "once_more"}, otherwise="give_up"),
    Record("once_more", ("I22", "beep"), then="kept", empty="nothing", effect=Effect.KEEP, keys={"0": "person"}),
    Fork("give_up", by="caller", to={"known": "ring_back"}, otherwise="come_by"),
    End("ring_back", ("I23",), effect=Effect.OWE_RING_BACK),
    End("come_by", ("I24",)),

    # goodbye, and what to have ready, if it is known in time what the message is about
    Await("closing", by="text", value="coming", then="what_to_bring", says=("I16",), pause="two_seconds"),
    Fork("what_to_bring", by="text", to={"there": "have_ready"}, otherwise="farewell"),
    Tell("have_ready", ("I15",), then="farewell"),
    Fork("farewell", by="caller", to={"known": "goodbye"}, otherwise="goodbye_withheld"),
    End("goodbye", ("I13",)),
    End("goodbye_withheld", ("I14",)),
    End("thanks", ("O32",)),

    # somebody to talk to
    Find("person", ("I30",), nobody="nobody", answered="talked"),
    Fork("nobody", by="kept", to={"None": "nobody_free"}, otherwise="closing"),
    Fork("nobody_free", by="situation", to={"closed": "speak_freely"}, otherwise="all_busy"),
    Record("all_busy", ("I31", "beep"), then="kept", empty="nothing", effect=Effect.KEEP),
    End("talked"),
)  # fmt: skip

RETURN: Flow = _flow(
    Fork("ring", by="machine", to={"True": "machine"}, otherwise="news"),
    Menu("news", ("two_seconds", "O01", "NEWS", "O20"), keys={"1": "heard", "3": "reply", "0": "person"}, again=("NEWS", "O20"), repeats="2", silence="not_confirmed", wrong="speak_freely"),
    Tell("heard", (), then="after_heard", effect=Effect.HEARD),
    Fork("after_heard", by="event", to={"done": "satisfaction"}, otherwise="goodbye"),
    Menu("satisfaction", ("O30",), keys={"1": "goodbye", "2": "goodbye", "3": "sorry", "0": "person"}, silence="thanks", wrong="thanks", effects={"1": Effect.SATISFIED, "2": Effect.SO_SO, "3": Effect.NOT_SATISFIED}),
    Tell("speak_freely", ("I21",), then="reply"),
    Record("reply", ("O24", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    Record("sorry", ("O31", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    Fork("reply_empty", by="empty", to={"1": "reply_once_more"}, otherwise="thanks"),
    Record("reply_once_more", ("I22", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    End("not_confirmed", ("O23",), effect=Effect.NOT_CONFIRMED),
    End("machine", ("O40",), effect=Effect.MACHINE),
    End("goodbye", ("O21",)),
    End("thanks", ("O32",)),
    Find("person", ("I30",), nobody="all_busy", answered="talked"),
    Record("all_busy", ("I31", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY),
    End("talked"),
)  # fmt: skip

FLOWS = {"inbound": INBOUND, "return": RETURN}
