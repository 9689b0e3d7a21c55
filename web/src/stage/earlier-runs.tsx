import { Link } from "react-router";
import type { Run } from "../api";
import { Thumbnail } from "../components/thumbnail";
import { useNow } from "../components/use-now";
import { ago } from "../format";
import { appPath } from "../links";

const TICK_MS = 30_000;

interface Props {
  deployment: string;
  runs: Run[];
  current: string | null;
}

/** The last pictures of this deployment; choosing one shows it on the stage. */
export function EarlierRuns({ deployment, runs, current }: Props) {
  const now = useNow(TICK_MS);
  const shown = runs.filter((run) => run.status === "success");
  if (shown.length === 0 || (shown.length === 1 && shown[0]?.id === current)) return null;
  return (
    <section aria-labelledby="earlier">
      <h2 id="earlier" className="mb-2 text-sm font-medium text-soft">Earlier results</h2>
      <ul className="flex gap-2.5 overflow-x-auto p-1">
        {shown.map((run) => (
          <li key={run.id} className="shrink-0">
            <Link
              to={appPath(deployment, run.id)}
              aria-current={run.id === current ? "true" : undefined}
              aria-label={`Result, ${ago(run.created_at, now)}`}
              className="block rounded-xl ring-accent ring-offset-2 ring-offset-ground aria-current:ring-2"
            >
              <Thumbnail run={run} className="size-20 rounded-xl" />
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
