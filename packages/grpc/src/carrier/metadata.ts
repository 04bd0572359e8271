import { type Injection, type Reporter, SanitizingGetter } from "@traceferry/core";

/** The part of a grpc-js `Metadata` that this package uses. Every copy and version of grpc-js has it. */
export interface MetadataLike {
  get(key: string): readonly (string | Uint8Array)[];
  getMap(): Readonly<Record<string, unknown>>;
  set(key: string, value: string): void;
  remove(key: string): void;
}

/**
 * Reads the fields of metadata. Their keys are lower-case already. A header that a client sent twice is one value,
 * joined by Node as `"a, b"`; metadata that never left the process keep such values apart.
 */
export const metadataGetter: SanitizingGetter<MetadataLike> = new SanitizingGetter({
  read: (metadata, key) => metadata.get(key),
  keys: (metadata) => Object.keys(metadata.getMap()),
});

/**
 * Returns a clone of the metadata that holds each injected field once, and none of the fields that an earlier
 * trace left. A field that gRPC does not allow is reported and left out.
 */
export function writeMetadata<M extends MetadataLike>(
  metadata: M & { clone(): M },
  injection: Injection,
  reporter: Reporter,
): M {
  const copy = metadata.clone();
  for (const name of injection.stale) copy.remove(name);
  for (const [name, value] of injection.fields) {
    try {
      copy.set(name, value);
    } catch (error) {
      reporter.fault("inject", error);
    }
  }
  return copy;
}
