import type { RunStatus } from "../api";

const LOOKS: Record<RunStatus, [label: string, look: string]> = {
  queued: ["Queued", "bg-sunken text-soft"],
  starting: ["Starting", "bg-accent-wash text-ink"],
  running: ["Running", "bg-accent-wash text-ink"],
  collecting: ["Saving", "bg-accent-wash text-ink"],
  success: ["Done", "bg-good-wash text-good"],
  failed: ["Failed", "bg-bad-wash text-bad"],
  cancelled: ["Cancelled", "bg-sunken text-soft"],
  timeout: ["Timed out", "bg-warn-wash text-warn"],
};

export function StatusChip({ status }: { status: RunStatus }) {
  const [label, look] = LOOKS[status];
  return (
    <span className={`inline-flex items-center rounded-full px-2.5 py-0.5 text-[0.8125rem] font-medium ${look}`}>
      {label}
    </span>
  );
}

export function SimulatedBadge() {
  return (
    <span
      title="The model nodes of this workflow are simulated: no model was loaded, the picture is a stand-in."
      className="inline-flex items-center rounded-full bg-warn-wash px-2.5 py-0.5 text-[0.8125rem] font-medium text-warn"
    >
      Simulated
    </span>
  );
}
