"""The door by telephone: the same PIN, the same five tries as at the page."""

from hotline.runtime import Runtime
from hotline.web.auth import Answer, knock
from ivr.calls import Porter
from ivr.engine import Way


def porter(runtime: Runtime) -> Porter:
    """Says whether a volunteer's PIN opens the door; each wrong one is counted."""

    def judge(volunteer_id: int, pin: str, question: str) -> Way:
        said = knock(
            runtime.db, runtime.clock, volunteer_id, pin, origin="phone", question=question
        )
        if said.answer is Answer.WELCOME:
            return Way.ADMITTED
        return Way.LOCKED if said.answer is Answer.LOCKED else Way.REFUSED

    return judge
