/**
 * The server writes addresses with its public name; the same files answer under the name this page was opened with,
 * and the page asks no other host. Null when the address is not one of ours: then it is shown, not loaded.
 */
export function ours(url: string, publicUrl: string | undefined): string | null {
  if (url.startsWith("data:image/")) return url;
  try {
    const parsed = new URL(url, location.origin);
    const known = parsed.origin === location.origin || (publicUrl !== undefined && parsed.origin === new URL(publicUrl).origin);
    return known ? parsed.pathname + parsed.search : null;
  } catch {
    return null;
  }
}

export function download(url: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}download=1`;
}

export const appPath = (deployment: string, run?: string): string =>
  `/apps/${encodeURIComponent(deployment)}${run ? `?run=${encodeURIComponent(run)}` : ""}`;

export const runPath = (id: string): string => `/runs/${encodeURIComponent(id)}`;

/** Works without the clipboard API too, which browsers withhold from pages that are not on https or localhost. */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "fixed -top-full";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A random key; `crypto.randomUUID` is withheld in the same places. */
export function randomKey(): string {
  const values = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}
