import { ApiError } from "../api";
import { Notice } from "../components/notice";
import { useRun } from "../queries";
import { useRunStream } from "../run/use-run-stream";
import { Stage } from "./stage";

/** The stage of the run with this id, followed live. */
export function RunStage({ id }: { id: string }) {
  const run = useRun(id);
  const live = useRunStream(id);

  if (run.data) return <Stage run={run.data} live={live} />;
  if (!run.error) return null;
  const gone = run.error instanceof ApiError && run.error.status === 404;
  return (
    <Notice tone="bad" title={gone ? "There is no such run" : "Cannot show this run"}>
      {run.error.message}
    </Notice>
  );
}
