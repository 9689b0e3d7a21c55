import { MediaPreview } from "../form/media-preview";
import { useDeployment } from "../queries";

interface Props {
  inputs: Record<string, unknown>;
  deployment: string | null;
}

const MEDIA = new Set(["image", "images", "video", "audio"]);
const SHORT = 2000;

/** What the caller sent, pictures as pictures where the deployment still says which they are. */
export function RunInputs({ inputs, deployment }: Props) {
  const declared = useDeployment(deployment).data?.inputs ?? [];
  const given = Object.entries(inputs);
  return (
    <section aria-labelledby="inputs">
      <h2 id="inputs" className="mb-2 text-lg font-semibold tracking-tight">Inputs</h2>
      {given.length === 0 && <p className="text-soft">None were given: the workflow ran with its defaults.</p>}
      <dl className="flex flex-col gap-3.5 text-[0.9375rem]">
        {given.map(([name, value]) => (
          <div key={name}>
            <dt className="font-mono text-[0.8125rem] text-soft">{name}</dt>
            <dd className="mt-0.5 wrap-anywhere">
              <Value value={value} kind={declared.find((input) => input.id === name)?.kind ?? "text"} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Value({ value, kind }: { value: unknown; kind: string }) {
  if (value === "") return <span className="text-soft">empty</span>;
  if (typeof value === "string" && (MEDIA.has(kind) || value.startsWith("data:image/"))) {
    return (
      <div className="overflow-hidden rounded-xl border border-line">
        <MediaPreview value={value} kind={MEDIA.has(kind) ? kind : "image"} alt="The picture that was given" />
      </div>
    );
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return <span className="whitespace-pre-wrap">{text.length > SHORT ? `${text.slice(0, SHORT)}...` : text}</span>;
}
