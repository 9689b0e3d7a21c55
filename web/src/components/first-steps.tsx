import { CopyButton } from "./copy-button";

const COMMAND = "comfyserve deploy my-workflow.json --name my-workflow";

export function FirstSteps() {
  return (
    <div className="card flex flex-col gap-4 px-6 py-10 sm:px-10">
      <p className="text-lg font-medium">Nothing is deployed yet</p>
      <p className="max-w-prose text-soft">
        In ComfyUI, <strong className="font-medium text-ink">save</strong> your workflow, then deploy the file, or a picture
        that ComfyUI made with it. It appears here as a page and as an API.
      </p>
      <div className="flex flex-wrap items-center gap-2">
        <code className="rounded-lg bg-sunken px-3 py-2 font-mono text-sm wrap-anywhere">{COMMAND}</code>
        <CopyButton text={COMMAND} label="Copy" look="quiet" />
      </div>
    </div>
  );
}
