"""The calls of this house, each from top to bottom: INBOUND and RETURN for residents, DUTY (we
ring), STAFF (they ring) and BRIDGE (they press at the desk) for volunteers, STUDIO for whoever
records prompts."""

from ivr.steps import (
    WRONG,
    Await,
    Each,
    Effect,
    End,
    Find,
    Flow,
    Fork,
    Menu,
    Number,
    Pin,
    Record,
    Step,
    Tell,
)

AT_ONCE: frozenset[str] = frozenset()
WRONG_ONLY = frozenset({WRONG})


def _flow(*steps: Step) -> dict[str, Step]:
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
    Fork("ring", by="machine", to={"True": "machine"}, otherwise="answered"),
    Fork("answered", by="event", to={"none": "nothing_new"}, otherwise="news"),
    Menu("news", ("two_seconds", "O01", "NEWS", "O20"), keys={"1": "heard", "3": "reply", "0": "person"}, again=("NEWS", "O20"), repeats="2", silence="not_confirmed", wrong="speak_freely"),
    Tell("heard", (), then="after_heard", effect=Effect.HEARD),
    Fork("after_heard", by="event", to={"done": "satisfaction"}, otherwise="goodbye"),
    Menu("satisfaction", ("O30",), keys={"1": "asks_things", "2": "asks_things", "3": "sorry", "0": "person"}, silence="thanks", wrong="thanks", effects={"1": Effect.SATISFIED, "2": Effect.SO_SO, "3": Effect.NOT_SATISFIED}),
    Fork("asks_things", by="things", to={"True": "things"}, otherwise="asks_trips"),
    Menu("things", ("O35",), keys={"1": "asks_trips", "2": "not_back", "0": "person"}, silence="asks_trips", wrong="asks_trips", effects={"1": Effect.ALL_BACK, "2": Effect.NOT_BACK}),
    Tell("not_back", ("O36",), then="goodbye"),
    Fork("asks_trips", by="trips", to={"True": "trips"}, otherwise="goodbye"),
    Menu("trips", ("O34",), keys={"1": "goodbye", "2": "goodbye", "3": "goodbye", "0": "person"}, silence="thanks", wrong="thanks", patient=AT_ONCE, effects={"1": Effect.NO_TRIP, "2": Effect.ONE_TRIP, "3": Effect.MORE_TRIPS}),
    Tell("speak_freely", ("I21",), then="reply"),
    Record("reply", ("O24", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    Record("sorry", ("O31", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    Fork("reply_empty", by="empty", to={"1": "reply_once_more"}, otherwise="thanks"),
    Record("reply_once_more", ("I22", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY, keys={"0": "person"}),
    End("not_confirmed", ("O23",), effect=Effect.NOT_CONFIRMED),
    End("machine", ("O40",), effect=Effect.MACHINE),
    End("nothing_new", ("two_seconds", "O33")),
    End("goodbye", ("O21",)),
    End("thanks", ("O32",)),
    Find("person", ("I30",), nobody="all_busy", answered="talked"),
    Record("all_busy", ("I31", "beep"), then="thanks", empty="reply_empty", effect=Effect.KEEP_REPLY),
    End("talked"),
)  # fmt: skip

# A volunteer goes through his requests, whether we ring or he does: what waits for him, what he has
# in hand, and what is done but nobody could be told.
ERRANDS: Flow = _flow(
    Each("new_ones", of="waiting", then="listen_new", done="his"),
    Tell("listen_new", ("D06", "VOICE"), then="new_errand", effect=Effect.LISTEN),
    Menu("new_errand", ("D07",), keys={"1": "taken", "2": "passed_new", "0": "committee"}, repeats="3", again=("VOICE", "D07"), silence="new_ones", wrong="new_ones", effects={"1": Effect.TAKE}),
    Menu("taken", ("D22", "D27", "D08", "D09"), keys={"1": "new_ones", "2": "told", "0": "committee"}, repeats="3", again=("D08", "D09"), silence="new_ones", wrong="new_ones", effects={"2": Effect.TELL}),
    Tell("told", ("D10",), then="new_ones"),
    Tell("passed_new", ("D11",), then="new_ones", effect=Effect.PASS),

    Each("his", of="errands", then="listen", done="not_told"),
    Tell("listen", ("D06", "VOICE", "D08"), then="errand", effect=Effect.LISTEN),
    Menu("errand", ("V05",), keys={"1": "done", "2": "passed", "3": "not_yet", "0": "committee"}, again=("VOICE", "D08", "V05"), silence="his", wrong="his"),
    Tell("passed", ("D11",), then="his", effect=Effect.PASS),
    Fork("not_yet", by="contacted", to={"False": "spoken"}, otherwise="his"),
    Menu("spoken", ("V14",), keys={"1": "his", "2": "his", "0": "committee"}, silence="his", wrong="his", patient=AT_ONCE, effects={"1": Effect.SPOKEN}),
    Fork("done", by="contacted", to={"False": "spoken_and_done"}, otherwise="outings"),
    Menu("spoken_and_done", ("V14",), keys={"1": "outings", "2": "outings", "0": "committee"}, silence="outings", wrong="outings", patient=AT_ONCE, effects={"1": Effect.SPOKEN}),
    Menu("outings", ("V06",), keys=dict.fromkeys("01", "finished") | dict.fromkeys("23456789", "why"), silence="finished_uncounted", wrong="finished_uncounted", effects=dict.fromkeys("0123456789", Effect.FINISH)),
    Menu("why", ("V12",), keys={"1": "finished", "2": "finished", "3": "why_else", "0": "committee"}, silence="finished", wrong="finished", effects={"1": Effect.WHY_MATERIALS, "2": Effect.WHY_CLOSED}),
    Menu("why_else", ("V13",), keys={"1": "finished", "2": "finished", "3": "finished", "0": "committee"}, silence="finished", wrong="finished", effects={"1": Effect.WHY_BREAKDOWN, "2": Effect.WHY_WRONG_PLACE, "3": Effect.WHY_IN_PERSON}),
    Tell("finished_uncounted", (), then="finished", effect=Effect.FINISH),
    Tell("finished", ("V07",), then="his"),

    Each("not_told", of="untold", then="listen_not_told", done="all_heard"),
    Tell("listen_not_told", ("D06", "VOICE", "D28", "D08"), then="tell_them", effect=Effect.LISTEN),
    Menu("tell_them", ("V11",), keys={"1": "told_them", "3": "not_told", "0": "committee"}, again=("D08", "V11"), silence="not_told", wrong="not_told", effects={"1": Effect.TOLD}),
    Tell("told_them", ("V10",), then="not_told"),

    Find("committee", ("I30",), nobody="committee_away", answered="talked", whom="committee"),
    End("committee_away", ("D15",)),
    End("talked"),
)  # fmt: skip

# A volunteer is rung: at the start of duty, because there is something new, or because something is
# late. Nothing of a resident is said before somebody has pressed a key.
DUTY: Flow = dict(ERRANDS) | _flow(
    Fork("ring", by="machine", to={"True": "machine"}, otherwise="occasion"),
    Fork("occasion", by="occasion", to={"shift": "begins", "quiet_shift": "begins_quietly", "late": "late"}, otherwise="new"),
    Menu("begins", ("two_seconds", "D01", "D23", "D04"), keys={"1": "ready", "0": "committee"}, silence="not_heard", wrong="not_heard"),
    Menu("begins_quietly", ("two_seconds", "D02", "D23", "D05"), keys={"1": "noted", "0": "committee"}, silence="not_heard", wrong="not_heard"),
    Menu("new", ("two_seconds", "D03", "D04"), keys={"1": "ready", "0": "committee"}, silence="not_heard", wrong="not_heard"),
    Menu("late", ("two_seconds", "D25", "D04"), keys={"1": "ready", "0": "committee"}, silence="not_heard", wrong="not_heard"),
    Tell("noted", ("D24",), then="good_day", effect=Effect.HEARD),
    Tell("ready", ("D24",), then="new_ones", effect=Effect.HEARD),

    End("all_heard", ("D12",)),
    End("good_day", ("D21",)),
    End("not_heard", ("D13",), effect=Effect.NOT_CONFIRMED),
    End("machine", ("D14",), effect=Effect.MACHINE),
)  # fmt: skip

# A volunteer's number rings: with a key and the PIN his requests, without them a resident like any.
STAFF: Flow = dict(INBOUND) | dict(ERRANDS) | _flow(
    Menu("ring", ("V01",), keys={"1": "pin", "0": "person"}, silence="anybody", wrong="anybody", wait="opening", patient=AT_ONCE),
    Fork("anybody", by="situation", to={"closed": "closed", "open_request": "greet_again"}, otherwise="greet"),
    Pin("pin", ("V02",), right="new_ones", locked="locked", silence="good_day"),
    End("locked", ("V04",)),
    End("all_heard", ("V08",)),
    End("good_day", ("V09",)),
)  # fmt: skip

# An administrator's number rings: as for any volunteer, and prompts are recorded, one after the
# other. Nothing is in use that was not wanted by a key; what was spoken stands on the page.
STUDIO: Flow = dict(STAFF) | _flow(
    Menu("ring", ("S01",), keys={"1": "pin", "2": "studio_pin", "0": "person"}, silence="anybody", wrong="anybody", wait="opening", patient=AT_ONCE),
    Pin("studio_pin", ("V02",), right="which", locked="locked", silence="good_day"),
    Number("which", ("S02",), found="sentence", silence="good_day"),
    Record("sentence", ("S04", "beep"), then="take", empty="unheard", effect=Effect.KEEP_TAKE, keys={"0": "person"}, message=False),
    Menu("take", ("S05",), keys={"1": "in_use", "3": "sentence", "0": "committee"}, replays="2", silence="not_in_use", wrong="not_in_use", effects={"1": Effect.USE_TAKE}),
    Tell("in_use", ("S06",), then="which"),
    Tell("not_in_use", ("S08",), then="which"),
    Fork("unheard", by="empty", to={"1": "unheard_yet", "2": "unheard_yet"}, otherwise="good_day"),
    Tell("unheard_yet", ("S07",), then="which"),
)  # fmt: skip

# Somebody has pressed at the desk: their own telephone rings, and with a key the resident's.
BRIDGE: Flow = _flow(
    Fork("ring", by="machine", to={"True": "machine"}, otherwise="whisper"),
    Menu("whisper", ("second", "B01"), keys={"1": "connecting", "0": "committee"}, silence="not_heard", wrong="not_heard", again=("B01",)),
    Tell("connecting", ("B02",), then="connect", effect=Effect.HEARD),
    Find("connect", (), nobody="not_reached", answered="talked", whom="resident"),
    End("not_reached", ("B03",), effect=Effect.NOT_REACHED),
    End("talked", effect=Effect.REACHED),
    Find("committee", ("I30",), nobody="committee_away", answered="with_committee", whom="committee"),
    End("committee_away", ("D15",), effect=Effect.NOT_CONFIRMED),
    End("with_committee", effect=Effect.NOT_CONFIRMED),
    End("not_heard", ("B04",), effect=Effect.NOT_CONFIRMED),
    End("machine", (), effect=Effect.MACHINE),
)  # fmt: skip

FLOWS = {
    "inbound": INBOUND, "return": RETURN, "duty": DUTY, "staff": STAFF, "studio": STUDIO, "bridge": BRIDGE,
}  # fmt: skip
# where a call of STAFF or STUDIO is no resident's
OF_VOLUNTEERS = frozenset(STUDIO) - frozenset(INBOUND) | {"ring"}
