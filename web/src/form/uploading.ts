import { useSyncExternalStore } from "react";

let underWay = 0;
const listeners = new Set<() => void>();

function change(by: number): void {
  underWay += by;
  for (const tell of listeners) tell();
}

/** Counts uploads, so that a form is not sent with the value that an upload is about to replace. */
export const uploading = { begin: () => change(1), end: () => change(-1) };

function subscribe(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

/** Whether an upload is under way. */
export function useUploading(): boolean {
  return useSyncExternalStore(subscribe, () => underWay > 0);
}
