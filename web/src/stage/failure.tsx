import type { Problem, RunEvent } from "../api";
import { Notice } from "../components/notice";

interface Props {
  error: Problem;
  events: RunEvent[];
}

/** Why a run did not end well, and at which node. */
export function Failure({ error, events }: Props) {
  const node = error.place?.node_id;
  const title = node ? titleOf(node, error, events) : null;
  return (
    <Notice tone="bad" title={node ? `Failed at ${title ? `${title} (node ${node})` : `node ${node}`}` : "This run failed"}>
      <p className="whitespace-pre-line">{error.message}</p>
      {error.place?.field && <p className="mt-1 text-sm text-soft">Field: {error.place.field}</p>}
    </Notice>
  );
}

function titleOf(node: string, error: Problem, events: RunEvent[]): string | null {
  const started = events.find((event) => event.kind === "node_started" && event.data.node_id === node);
  const title = started?.data.title ?? error.details?.title ?? started?.data.class_type ?? error.details?.class_type;
  return typeof title === "string" && title ? title : null;
}
