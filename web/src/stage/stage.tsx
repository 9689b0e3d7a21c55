import type { Run } from "../api";
import { hasEnded } from "../api";
import { SimulatedBadge, StatusChip } from "../components/status-chip";
import { type Live, statusOf } from "../run/live";
import { Failure } from "./failure";
import { Outputs } from "./outputs";
import { Progressing } from "./progressing";
import { Summary } from "./summary";

interface Props {
  run: Run;
  live: Live;
  onCancel: () => void;
  cancelling: boolean;
  /** Link to the page of the run. */
  details?: boolean;
}

/** One run, large: on its way, finished, or the reason why not. */
export function Stage({ run, live, onCancel, cancelling, details = true }: Props) {
  const status = statusOf(run, live);
  return (
    <div className="flex flex-col gap-4" data-run-status={run.status}>
      <div className="flex flex-wrap items-center gap-2">
        <StatusChip status={status} />
        {run.simulated && <SimulatedBadge />}
        <Summary run={run} details={details} />
      </div>
      {!hasEnded(run) && (
        <Progressing run={run} status={status} live={live} onCancel={onCancel} cancelling={cancelling} />
      )}
      {run.error && <Failure error={run.error} events={live.events} />}
      {run.status === "cancelled" && <p className="text-soft">Cancelled. Nothing was kept of this run.</p>}
      {hasEnded(run) && <Outputs outputs={run.outputs} empty={run.status === "success"} />}
      {run.warnings.map((warning) => (
        <p key={warning.code + warning.message} className="rounded-xl bg-warn-wash px-4 py-2.5 text-sm text-warn">
          {warning.message}
        </p>
      ))}
    </div>
  );
}
