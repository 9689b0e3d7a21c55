import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type Asset, api } from "../api";
import { bytes } from "../format";
import { ours } from "../links";
import { keys, useMe } from "../queries";

const ASSET_ID = /^(?:asset:)?((?:img|vid|audio|zip|file|folder)_[0-9A-Za-z]+)$/;
const FILE_PATH = /^\/files\/([^/?]+)\//;
const LONGEST_NAME = 120;

export interface Media {
  /** Where this page may load it from; null for addresses elsewhere, which only the server asks. */
  src: string | null;
  caption: string;
  /** Kept by the server as an asset, or in the value itself. */
  stored: boolean;
}

/** What a media value stands for: an asset by its id or by an address of ours (signed anew), a data URI, or a URL. */
export function useMedia(value: string): Media {
  const me = useMe();
  const own = ours(value, me.data?.public_url);
  const id = ASSET_ID.exec(value)?.[1] ?? (own ? FILE_PATH.exec(own)?.[1] : undefined);
  const asset = useQuery({
    queryKey: keys.asset(id ?? ""),
    queryFn: () => api.asset(id as string),
    enabled: id !== undefined,
    staleTime: Infinity,
  });
  if (id !== undefined) return ofAsset(asset.data, value, me.data?.public_url);
  if (own?.startsWith("data:")) return { src: own, caption: "Embedded picture", stored: true };
  return { src: null, caption: value.slice(0, LONGEST_NAME), stored: false };
}

function ofAsset(asset: Asset | undefined, value: string, publicUrl: string | undefined): Media {
  if (!asset) return { src: null, caption: value.slice(0, LONGEST_NAME), stored: true };
  return { src: ours(asset.url, publicUrl), caption: `${asset.filename} · ${bytes(asset.size)}`, stored: true };
}

/** Remembers an asset that was just uploaded, so that nobody asks for it. */
export function useRememberAsset(): (asset: Asset) => void {
  const queries = useQueryClient();
  return (asset) => queries.setQueryData(keys.asset(asset.id), asset);
}
