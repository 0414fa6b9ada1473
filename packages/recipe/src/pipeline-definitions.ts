import { isMelangeError } from "@melange2/core";
import { limits, refuseLongFile } from "./limits.ts";
import { type StepSource, step as stepDecoder } from "./schema.ts";
import { type Problems, sourceFile, type Text } from "./source.ts";
import { parseYaml } from "./yaml-document.ts";

/** A file that `uses` names. */
export interface PipelineFile {
  /** How messages call it: a path. */
  readonly file: string;
  readonly text: string;
}

/** Where pipelines that `uses` names are found. */
export interface PipelineSource {
  /** The places searched, in order, for the message when nothing is found. */
  readonly searched: readonly string[];
  /**
   * The definition of `uses`, for example `autoconf/make`; undefined when there is none. The name was checked: relative, without
   * `..`. Throws a MelangeError of code `recipe` when what it finds leads out of its directory.
   */
  find(uses: string): PipelineFile | undefined;
}

/** Reads each definition once. */
export interface PipelineDefinitions {
  /** Undefined when there is none, or it cannot be read: then the reason was reported, at `uses` or in the definition. */
  get(uses: Text): StepSource | undefined;
}

export function pipelineDefinitions(source: PipelineSource, problems: Problems): PipelineDefinitions {
  const known = new Map<string, StepSource | undefined>();
  let characters = 0;

  function load(uses: Text): StepSource | undefined {
    const name = uses.value;
    const found = find(uses);
    if (found === "refused") return undefined;
    if (!found) {
      problems.error(`there is no pipeline "${name}"`, uses.place, {
        hint: `Searched: ${source.searched.join(", ")}. Add its directory with --pipeline-dir.`,
      });
      return undefined;
    }
    const file = sourceFile(found.file, found.text);
    refuseLongFile(
      file,
      limits.pipelineTexts - characters,
      `the pipelines that the recipe uses have more than ${limits.pipelineTexts} characters together`,
    );
    characters += file.text.length;
    const root = parseYaml(file, problems);
    return root && stepDecoder.decode(root, { problems, unknownKeys: "ignore" });
  }

  function find(uses: Text): PipelineFile | "refused" | undefined {
    try {
      return source.find(uses.value);
    } catch (error) {
      if (!isMelangeError(error)) throw error;
      problems.error(error.message, uses.place, { hint: error.hint });
      return "refused";
    }
  }

  return {
    get(uses) {
      if (!known.has(uses.value)) known.set(uses.value, load(uses));
      return known.get(uses.value);
    },
  };
}

/** Why no `uses` may have this value, or undefined. */
export function whyNoPipeline(uses: string): string | undefined {
  if (uses.startsWith("/")) return `uses "${uses}" is an absolute path`;
  return uses.includes("..") ? `uses "${uses}" contains ".."` : undefined;
}

/** The definition laid over the step that uses it: what it sets wins, maps merge key by key, the step keeps its name. */
export function applyDefinition(step: StepSource, definition: StepSource): StepSource {
  const choose = (own: Text, defined: Text) => (defined.value === "" ? own : defined);
  return {
    ...step,
    name: choose(definition.name, step.name),
    if: choose(step.if, definition.if),
    runs: choose(step.runs, definition.runs),
    "working-directory": choose(step["working-directory"], definition["working-directory"]),
    pipeline: definition.pipeline.length > 0 ? definition.pipeline : step.pipeline,
    needs: definition.needs.packages.length > 0 ? definition.needs : step.needs,
    assertions: definition.assertions ?? step.assertions,
    with: new Map([...step.with, ...definition.with]),
    inputs: new Map([...step.inputs, ...definition.inputs]),
    environment: new Map([...step.environment, ...definition.environment]),
  };
}
