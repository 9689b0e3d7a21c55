import type { Output } from "../api";
import { buttonLook } from "../components/button";
import { CopyButton } from "../components/copy-button";
import { bytes } from "../format";
import { download, ours } from "../links";
import { useMe } from "../queries";
import { Picture } from "./picture";

interface Props {
  outputs: Output[];
  /** Say so when there is nothing. */
  empty: boolean;
}

export function Outputs({ outputs, empty }: Props) {
  if (outputs.length === 0) {
    return empty ? <p className="text-soft">The run ended well and saved nothing. Does the workflow have an output node?</p> : null;
  }
  return (
    <ul className={`grid gap-5 ${outputs.length > 1 ? "xl:grid-cols-2" : ""}`}>
      {outputs.map((output) => (
        <li key={`${output.node_id} ${output.key} ${output.index}`} className="min-w-0">
          <Result output={output} />
        </li>
      ))}
    </ul>
  );
}

function Result({ output }: { output: Output }) {
  const me = useMe();
  if (output.kind === "text" && output.value !== undefined) return <Text value={String(output.value)} />;

  const src = output.url ? ours(output.url, me.data?.public_url) : null;
  const link = output.url ? new URL(output.url, location.origin).href : "";
  return (
    <figure className="card overflow-hidden">
      {src && <Media kind={output.kind} src={src} name={output.filename ?? ""} />}
      {!src && output.url && <Elsewhere url={output.url} />}
      <figcaption className="flex flex-wrap items-center gap-2 border-t border-line p-3">
        <span className="mr-auto min-w-0 basis-full truncate pl-1 sm:basis-auto text-sm text-soft">
          {output.filename}
          {output.size !== undefined && ` · ${bytes(output.size)}`}
        </span>
        {link && <CopyButton text={link} label="Copy link" />}
        {src && (
          <a href={download(src)} download={output.filename} className={buttonLook("plain")}>
            Download
          </a>
        )}
      </figcaption>
    </figure>
  );
}

function Media({ kind, src, name }: { kind: Output["kind"]; src: string; name: string }) {
  if (kind === "image") return <Picture src={src} alt={name || "Result"} opens />;
  if (kind === "video") return <video src={src} controls loop playsInline className="max-h-[80dvh] w-full bg-black" />;
  if (kind === "audio") return <audio src={src} controls className="w-full p-4" />;
  return <div className="bg-sunken px-4 py-10 text-center font-medium wrap-anywhere">{name}</div>;
}

/** A file in the target of its run: this page asks no other host, so its address is shown. */
function Elsewhere({ url }: { url: string }) {
  return (
    <div className="bg-sunken px-4 py-10 text-center wrap-anywhere">
      {/^https?:/.test(url) ? (
        <a href={url} target="_blank" rel="noreferrer" className="font-medium underline underline-offset-2">{url}</a>
      ) : (
        <span className="font-medium">{url}</span>
      )}
    </div>
  );
}

function Text({ value }: { value: string }) {
  return (
    <figure className="card overflow-hidden">
      <div className="max-h-96 overflow-auto p-4 leading-relaxed wrap-anywhere whitespace-pre-wrap">{value}</div>
      <figcaption className="flex justify-end border-t border-line p-3">
        <CopyButton text={value} label="Copy text" />
      </figcaption>
    </figure>
  );
}
