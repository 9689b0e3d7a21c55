import { hasEnded, type Run } from "../api";
import { SimulatedBadge, StatusChip } from "../components/status-chip";
import { type Live, statusOf } from "../run/live";
import { Failure } from "./failure";
import { Outputs } from "./outputs";
import { Progressing } from "./progressing";
import { Summary } from "./summary";

interface Props {
  run: Run;
  live: Live;
  /** Link to the page of the run. */
  details?: boolean;
}

/** One run, large: on its way, finished, or the reason why not. */
export function Stage({ run, live, details = true }: Props) {
  const status = statusOf(run, live);
  const ended = hasEnded(run);
  return (
    <div className="flex flex-col gap-4" data-run-status={run.status}>
      <div className="flex min-h-7 flex-wrap items-center gap-2">
        <span role="status" className="flex gap-2">
          <StatusChip status={status} />
          {run.simulated && <SimulatedBadge />}
        </span>
        <Summary run={run} details={details} />
      </div>
      {!ended && <Progressing run={run} status={status} live={live} />}
      {run.error && <Failure error={run.error} events={live.events} />}
      {run.status === "cancelled" && <p className="text-soft">Cancelled. Nothing was kept of this run.</p>}
      {ended && <Outputs outputs={run.outputs} empty={run.status === "success"} />}
      {run.warnings.map((warning) => (
        <p key={warning.code + warning.message} className="rounded-xl bg-warn-wash px-4 py-2.5 text-sm text-warn">
          {warning.message}
        </p>
      ))}
    </div>
  );
}
