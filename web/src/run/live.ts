/** What a run's event stream has told so far, as one value. */
import type { Download, Output, Preview, Progress, Run, RunEvent, RunStatus } from "../api";

export interface Live {
  events: RunEvent[];
  status: RunStatus | null;
  /** The node at work; `index` counts from 1. */
  node: { id: string; title: string; index: number; total: number } | null;
  progress: Progress | null;
  preview: string | null;
  /** The files on their way, in the order in which they began. */
  downloads: Download[];
  outputs: Output[];
}

export type Told =
  | { tell: "event"; event: RunEvent }
  | { tell: "progress"; progress: Progress }
  | { tell: "preview"; preview: Preview }
  | { tell: "download"; download: Download }
  | { tell: "nothing" };

export const SILENCE: Live = {
  events: [], status: null, node: null, progress: null, preview: null, downloads: [], outputs: [],
};

/** The kinds that are written down, each with a sequence number; all others are shown and forgotten. */
export const DURABLE = [
  "submitted", "claimed", "downloaded", "staged", "started", "node_started", "output", "executed", "succeeded",
  "failed", "cancel_requested", "cancelled", "timed_out", "lost", "warning",
] as const;

/** A picture only: what is shown is put into an address, and nothing but these types belongs there. */
const PREVIEW_TYPES = new Set(["image/jpeg", "image/png", "image/webp"]);

export function listen(live: Live, told: Told): Live {
  switch (told.tell) {
    case "nothing":
      return SILENCE;
    case "progress":
      return { ...live, progress: told.progress };
    case "preview":
      if (!PREVIEW_TYPES.has(told.preview.mime)) return live;
      return { ...live, preview: `data:${told.preview.mime};base64,${told.preview.image}` };
    case "download":
      return { ...live, downloads: withDownload(live.downloads, told.download) };
    case "event":
      return apply(live, told.event);
  }
}

function apply(live: Live, event: RunEvent): Live {
  if (live.events.some((known) => known.seq === event.seq)) return live;
  const next = { ...live, events: [...live.events, event], status: event.status, downloads: stillComing(live, event) };
  if (event.kind === "node_started") return { ...next, node: nodeOf(event.data) };
  if (event.kind === "output") return { ...next, outputs: [...live.outputs, event.data as unknown as Output] };
  // Another attempt starts from nothing.
  if (event.kind === "lost") return { ...next, node: null, progress: null, preview: null, outputs: [] };
  return next;
}

/** A run only waits for files before it starts. */
function stillComing({ downloads }: Live, event: RunEvent): Download[] {
  if (event.status !== "starting" || event.kind === "staged") return [];
  if (event.kind !== "downloaded") return downloads;
  return downloads.filter((file) => file.name !== event.data.name || file.label !== event.data.label);
}

/** The files on their way after this report; one that has arrived is none of them. */
function withDownload(known: Download[], file: Download): Download[] {
  const same = (one: Download) => one.name === file.name && one.label === file.label;
  if (file.total !== null && file.received >= file.total) return known.filter((one) => !same(one));
  return known.some(same) ? known.map((one) => (same(one) ? file : one)) : [...known, file];
}

function nodeOf(data: Record<string, unknown>): Live["node"] {
  const id = String(data.node_id ?? "");
  const title = String(data.title || data.class_type || `Node ${id}`);
  return { id, title, index: Number(data.index ?? 1), total: Number(data.total ?? 0) };
}

/** How far the whole run is, or the file that it waits for, 0 to 1; null before it has a measure. */
export function fractionOf(live: Live): number | null {
  const file = live.downloads[0];
  if (file) return file.total ? file.received / file.total : null;
  if (live.status === "collecting") return 1;
  const byNodes = live.node && live.node.total > 0 ? (live.node.index - 1) / live.node.total : null;
  if (live.progress === null) return byNodes;
  return Math.max(live.progress.fraction, byNodes ?? 0);
}

/** The later of two reports on one run. */
export function statusOf(run: Run, live: Live): RunStatus {
  return run.ended_at === null && live.status !== null ? live.status : run.status;
}
