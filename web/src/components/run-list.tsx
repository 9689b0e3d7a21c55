import { Link } from "react-router";
import type { Run } from "../api";
import { ago, duration, moment } from "../format";
import { runPath } from "../links";
import { StatusChip } from "./status-chip";
import { Thumbnail } from "./thumbnail";
import { useNow } from "./use-now";

const TICK_MS = 15_000;

export function RunList({ runs }: { runs: Run[] }) {
  const now = useNow(TICK_MS);
  if (runs.length === 0) return <p className="text-soft">No runs yet. Open a deployment and press Generate.</p>;
  return (
    <ul className="card divide-y divide-line overflow-hidden">
      {runs.map((run) => (
        <li key={run.id}>
          <Link to={runPath(run.id)} className="flex items-center gap-4 px-3 py-2.5 -outline-offset-2 hover:bg-sunken sm:px-4">
            <Thumbnail run={run} className="size-12 shrink-0 rounded-lg" />
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{run.deployment_name ?? "Graph that is not deployed"}</span>
              <span className="block truncate text-sm text-soft">
                <time dateTime={run.created_at} title={moment(run.created_at)}>
                  {ago(run.created_at, now)}
                </time>
                {run.seconds.total !== null && ` · ${duration(run.seconds.total)}`}
                {run.error && ` · ${run.error.message}`}
              </span>
            </span>
            <StatusChip status={run.status} />
          </Link>
        </li>
      ))}
    </ul>
  );
}
