import type { Run, RunStatus } from "../api";
import { Button } from "../components/button";
import { fractionOf, type Live } from "../run/live";
import { Outputs } from "./outputs";

interface Props {
  run: Run;
  status: RunStatus;
  live: Live;
  onCancel: () => void;
  cancelling: boolean;
}

/** The run on its way: the picture as it converges, the node at work, how far it is, and Cancel. */
export function Progressing({ run, status, live, onCancel, cancelling }: Props) {
  const fraction = fractionOf(live);
  const percent = fraction === null ? null : Math.round(fraction * 100);
  const steps = live.progress && live.progress.node_id === live.node?.id ? live.progress : null;
  const doing = sentence(run, status, live);
  return (
    <div className="card overflow-hidden">
      <div className="grid aspect-square max-h-[38rem] w-full place-items-center overflow-hidden bg-sunken">
        {live.preview ? (
          <img src={live.preview} alt="Preview of the picture so far" className="size-full object-contain" />
        ) : (
          <span className="h-1 w-24 overflow-hidden rounded-full bg-line" aria-hidden="true">
            <span className="sweeping block h-full w-2/5 rounded-full bg-accent" />
          </span>
        )}
      </div>
      <div
        role="progressbar"
        aria-label="Progress of the run"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent ?? undefined}
        className="h-1.5 bg-sunken"
      >
        <div className="h-full bg-accent transition-[width] duration-300" style={{ width: `${percent ?? 0}%` }} />
      </div>
      <div className="flex items-center gap-4 p-4">
        <div className="min-w-0 flex-1">
          <p aria-live="polite" className="truncate font-medium">{doing}</p>
          <p className="text-sm text-soft tabular-nums">
            {percent !== null && `${percent} %`}
            {steps && steps.maximum > 1 && ` · step ${steps.value} of ${steps.maximum}`}
            {run.attempts > 1 && ` · attempt ${run.attempts} of ${run.max_attempts}`}
          </p>
        </div>
        <Button onClick={onCancel} disabled={cancelling}>{cancelling ? "Cancelling..." : "Cancel"}</Button>
      </div>
      {live.outputs.length > 0 && (
        <div className="border-t border-line p-4">
          <Outputs outputs={live.outputs} empty={false} />
        </div>
      )}
    </div>
  );
}

function sentence(run: Run, status: RunStatus, live: Live): string {
  if (status === "queued") {
    if (run.queue_position === null) return "Waiting for a worker";
    return run.queue_position === 0 ? "Next in line" : `In the queue, ${run.queue_position} before this one`;
  }
  if (status === "starting") return "A worker is getting ready";
  if (status === "collecting") return "Saving the results";
  return live.node?.title ?? "Running";
}
