import { locationOf, type Place, recipeError, type SourceFile } from "./source.ts";

/**
 * How much a recipe may ask for, so that reading any file ends within seconds and in bounded memory. The greatest of
 * thousands of real recipes stay below a fiftieth of each limit that grows with the recipe.
 */
export const limits = {
  /** Characters of a file. */
  text: 2 * 1024 * 1024,
  /** Characters of all pipeline files that a recipe uses. */
  pipelineTexts: 2 * 1024 * 1024,
  /** What the YAML of a file consists of for its lexer: words, indicators, blanks, line ends. A value has about four. */
  tokens: 300_000,
  /** Values of a YAML file, each alias counted as what it stands for. */
  values: 50_000,
  /** Values of a recipe once its ranges and pipelines are expanded. */
  expandedValues: 500_000,
  /** How deep values lie in each other, and pipelines in pipelines, variables in variables, parentheses in parentheses. */
  depth: 64,
  subpackages: 5_000,
  /** Steps of a recipe, those of used pipelines among them. */
  steps: 10_000,
  /** Characters of one text after substitution. */
  substituted: 1024 * 1024,
  /** Characters of all texts after substitution. */
  substitutedInAll: 8 * 1024 * 1024,
  /** Characters of all scripts that differ. */
  scripts: 4 * 1024 * 1024,
  /** Characters of a regular expression. */
  expression: 1_000,
  /** Steps of the matching engine for all regular expressions of a recipe. */
  matching: 100_000_000,
} as const;

/** Ends the reading of a recipe at the place that goes over a limit. Throws code `recipe`. */
export function refuseBeyond(what: string, place: Place, hint: string): never {
  throw recipeError(place.file.name, [{ message: what, location: locationOf(place), hint }]);
}

/** Refuses a file of more than `most` characters at the first that is too much. Throws code `recipe`. */
export function refuseLongFile(file: SourceFile, most: number, message: string): void {
  if (file.text.length > most)
    refuseBeyond(
      message,
      { file, start: most, end: file.text.length },
      "Make the file smaller, or keep its data in files that its steps read.",
    );
}

/** How much of its limits a recipe has used up so far. Each method throws code `recipe` at the place that goes over a limit. */
export interface Budget {
  steps(place: Place): void;
  values(count: number, place: Place): void;
  characters(count: number, place: Place): void;
  /** Steps of the matching engine. */
  matching(count: number, place: Place): void;
}

/** A budget of which nothing is used yet. */
export function fullBudget(): Budget {
  const spender = (limit: number, what: string, hint: string) => {
    let spent = 0;
    return (count: number, place: Place) => {
      spent += count;
      if (spent > limit) refuseBeyond(what, place, hint);
    };
  };
  const steps = spender(
    limits.steps,
    `the recipe has more than ${limits.steps} steps with those of the pipelines it uses`,
    fewer,
  );
  return {
    steps: (place) => steps(1, place),
    values: spender(
      limits.expandedValues,
      `the recipe has more than ${limits.expandedValues} values when its ranges and pipelines are expanded`,
      fewer,
    ),
    characters: spender(
      limits.substitutedInAll,
      "the recipe's texts grow beyond 8 MiB when its ranges, pipelines and variables are expanded",
      fewer,
    ),
    matching: spender(
      limits.matching,
      "the regular expression takes too long on this text",
      "Use a simpler expression or a shorter text.",
    ),
  };
}

const fewer = "Make several recipes of this one, or look for pipelines that use each other again and again.";

/** Thrown where a text has grown beyond its limit, and no place is known; whoever knows the place translates it. */
export class TextTooLong extends Error {}
