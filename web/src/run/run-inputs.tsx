import { MediaPreview } from "../form/media-preview";
import { ours } from "../links";
import { useMe } from "../queries";

const PICTURE = /^data:image\/|\.(png|jpe?g|webp|gif|avif|bmp)(\?|$)/i;

export function RunInputs({ inputs }: { inputs: Record<string, unknown> }) {
  const given = Object.entries(inputs);
  return (
    <section aria-labelledby="inputs">
      <h2 id="inputs" className="mb-2 text-lg font-semibold tracking-tight">Inputs</h2>
      {given.length === 0 && <p className="text-soft">None were given: the workflow ran with its defaults.</p>}
      <dl className="flex flex-col gap-3.5 text-[0.9375rem]">
        {given.map(([name, value]) => (
          <div key={name}>
            <dt className="font-mono text-[0.8125rem] text-soft">{name}</dt>
            <dd className="mt-0.5 wrap-anywhere"><Value value={value} /></dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Value({ value }: { value: unknown }) {
  const me = useMe();
  if (typeof value === "string" && PICTURE.test(value) && ours(value, me.data?.public_url)) {
    return (
      <div className="overflow-hidden rounded-xl border border-line">
        <MediaPreview url={value} kind="image" alt="The picture that was given" />
      </div>
    );
  }
  if (value === "") return <span className="text-soft">empty</span>;
  return <span className="whitespace-pre-wrap">{typeof value === "string" ? value : JSON.stringify(value)}</span>;
}
