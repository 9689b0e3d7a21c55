import { useEffect, useRef, useState } from "react";
import { type Asset, api } from "../api";
import { uploading } from "./uploading";
import { useRememberAsset } from "./use-media";

interface Upload {
  busy: boolean;
  error: string | null;
  send: (files: File[]) => Promise<Asset[]>;
}

/** Uploads files, the latest choice only; leaving the page or choosing anew stops what is under way. */
export function useUpload(): Upload {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const remember = useRememberAsset();
  const current = useRef<AbortController | null>(null);

  useEffect(() => () => current.current?.abort(), []);

  async function send(files: File[]) {
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    setBusy(true);
    uploading.begin();
    setError(null);
    try {
      const assets: Asset[] = [];
      for (const file of files) assets.push(await api.upload(file, mine.signal));
      assets.forEach(remember);
      return assets;
    } catch (failure) {
      if (!mine.signal.aborted) setError((failure as Error).message);
      return [];
    } finally {
      uploading.end();
      if (current.current === mine) setBusy(false);
    }
  }

  return { busy, error, send };
}
