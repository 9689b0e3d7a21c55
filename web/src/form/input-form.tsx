import { type FormEvent, useEffect, useRef } from "react";
import type { Input } from "../api";
import { Button } from "../components/button";
import { Notice } from "../components/notice";
import { Field } from "./field";
import { useUploading } from "./uploading";
import { sections, type Values } from "./values";

export interface FormError {
  field: string | null;
  message: string;
}

interface Props {
  inputs: Input[];
  values: Values;
  onChange: (id: string, value: unknown) => void;
  onSubmit: () => void;
  sending: boolean;
  error: FormError | null;
}

/** The form of a deployment, made from its inputs. A refusal is shown at the field it is about. */
export function InputForm({ inputs, values, onChange, onSubmit, sending, error }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const uploading = useUploading();
  const atField = inputs.some((input) => input.id === error?.field);

  useEffect(() => {
    if (!error?.field) return;
    const place = form.current?.querySelector<HTMLElement>(`[data-field="${CSS.escape(error.field)}"]`);
    const control = place?.querySelector<HTMLElement>(":is(input, textarea, select)[aria-invalid=true]");
    (control ?? place?.querySelector<HTMLElement>("input"))?.focus({ preventScroll: true });
    place?.scrollIntoView({ block: "center", behavior: "smooth" });
  }, [error]);

  function submit(event: FormEvent) {
    event.preventDefault();
    onSubmit();
  }

  return (
    <form ref={form} onSubmit={submit} noValidate aria-label="Inputs" className="flex flex-col gap-6">
      {sections(inputs).map((section) => {
        const fields = section.inputs.map((input) => (
          <Field
            key={input.id}
            input={input}
            value={values[input.id]}
            onChange={(value) => onChange(input.id, value)}
            error={error?.field === input.id ? error.message : undefined}
          />
        ));
        if (section.title === null) return fields;
        return (
          <fieldset key={`${section.id} ${section.inputs[0]?.id}`} className="rounded-2xl border border-line p-4 pt-2">
            <legend className="px-2 text-sm font-medium text-soft">{section.title}</legend>
            <div className="flex flex-col gap-5">{fields}</div>
          </fieldset>
        );
      })}
      {inputs.length === 0 && <p className="text-soft">This workflow has no inputs. It runs as it is.</p>}
      {error && !atField && (
        <Notice tone="bad" title="This did not start">
          {error.message}
        </Notice>
      )}
      <div className="sticky bottom-0 -mx-1 bg-ground/95 px-1 py-3">
        <Button look="main" type="submit" disabled={sending || uploading} className="w-full">
          {uploading ? "Uploading..." : sending ? "Sending..." : "Generate"}
        </Button>
      </div>
    </form>
  );
}
