import { Link } from "react-router";
import type { Run } from "../api";
import { hasEnded } from "../api";
import { useNow } from "../components/use-now";
import { duration } from "../format";
import { runPath } from "../links";

const TICK_MS = 100;

/** How long the run took or has been under way, and the way to all that is known about it. */
export function Summary({ run, details }: { run: Run; details: boolean }) {
  const ended = hasEnded(run);
  const now = useNow(TICK_MS, !ended);
  const since = Date.parse(run.created_at);
  const seconds = ended ? run.seconds.total : Math.max(0, (now - since) / 1000);
  return (
    <span className="ml-auto flex items-center gap-3 text-sm text-soft">
      <span className="tabular-nums" aria-label="Elapsed time">{duration(seconds)}</span>
      {details && (
        <Link to={runPath(run.id)} className="underline underline-offset-2 hover:text-ink">
          Details
        </Link>
      )}
    </span>
  );
}
