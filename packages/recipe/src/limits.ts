import { locationOf, type Place, recipeError } from "./source.ts";

/**
 * How much a recipe may ask for, so that reading any file ends soon and in bounded memory. The greatest of thousands of real recipes stay below a
 * hundredth of each.
 */
export const limits = {
  /** Characters of a file. */
  text: 4 * 1024 * 1024,
  /** Values of a YAML file, each alias counted as what it stands for. */
  values: 300_000,
  /** How deep values lie in each other, and pipelines in pipelines. */
  depth: 64,
  subpackages: 5_000,
  /** Steps of a recipe, those of used pipelines among them. */
  steps: 10_000,
  /** Characters of one text after substitution. */
  substituted: 1024 * 1024,
  /** Characters of all texts after substitution. */
  substitutedInAll: 64 * 1024 * 1024,
} as const;

/** Ends the reading of a recipe at the place that goes over a limit. Throws code `recipe`. */
export function refuseBeyond(what: string, place: Place, hint: string): never {
  throw recipeError(place.file.name, [{ message: what, location: locationOf(place), hint }]);
}

/** Thrown where a text has grown beyond its limit, and no place is known; whoever knows the place translates it. */
export class TextTooLong extends Error {}
