import { expectTypeOf, test } from "vitest";
import { defineExporter } from "./exporter.ts";
import type { Options } from "./option.ts";
import { defineEngine } from "./plugin.ts";

const specs = {
  how: { type: "enum", values: ["none", "gzip"], default: "gzip", description: "how" },
  maybe: { type: "enum", values: ["a", "b"], description: "perhaps" },
  names: { type: "list", description: "several" },
  path: { type: "string", required: true, description: "where" },
  fast: { type: "boolean", description: "hurry" },
} as const;

interface Expected {
  readonly how: "none" | "gzip";
  readonly maybe: "a" | "b" | undefined;
  readonly names: readonly string[] | undefined;
  readonly path: string;
  readonly fast: boolean | undefined;
}

test("the values of an enum are its words; what is required or has a default is there", () => {
  expectTypeOf<Options<typeof specs>>().toEqualTypeOf<Expected>();
});

test("an exporter and an engine get their options in these types", () => {
  defineExporter({
    name: "x",
    contract: 1,
    summary: "x",
    options: { how: { type: "enum", values: ["none", "gzip"], default: "gzip", description: "how" } },
    prepare: async ({ how }) => {
      expectTypeOf(how).toEqualTypeOf<"none" | "gzip">();
      throw new Error(how);
    },
  });
  defineEngine({
    name: "x",
    contract: 1,
    summary: "x",
    options: { how: { type: "enum", values: ["a", "b"], description: "how" } },
    create: ({ options }) => {
      expectTypeOf(options.how).toEqualTypeOf<"a" | "b" | undefined>();
      throw new Error(options.how);
    },
  });
});
