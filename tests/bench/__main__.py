"""`make bench`: runs every bench beside this file and prints one table. Figures, never verdicts."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    sys.path.insert(0, str(HERE.parent))  # benches use the tests' support
    wanted = set(sys.argv[1:])
    for path in sorted(HERE.glob("*.py")):
        module = (
            importlib.import_module(f"tests.bench.{path.stem}") if path.stem != "__main__" else None
        )
        if module is None or not hasattr(module, "run") or (wanted and path.stem not in wanted):
            continue
        title = (module.__doc__ or path.stem).strip().splitlines()[0]
        print(f"\n{title}")
        for name, figure in module.run():
            print(f"  {name:<64} {figure}", flush=True)


if __name__ == "__main__":
    main()
