// A version is `digits(.digits)*[a-z]?(_alpha|_beta|_pre|_rc)N?(_cvs|_svn|_git|_hg|_p)N?(-rN)?`, compared as apko compares it: by
// position, without apk-tools' rule for leading zeros.

/** A whole number of at most 63 bits: a number where that is exact, else a bigint. Comparing the two kinds works. */
type Whole = number | bigint;

/** A parsed version. Absent parts have rank or number 0, so that two versions compare part by part. */
export interface Version {
  readonly numbers: readonly Whole[];
  /** `a` to `z`, or empty. */
  readonly letter: string;
  /** What comes before the release itself: {@link noPre} is the release. */
  readonly pre: number;
  readonly preNumber: Whole;
  /** What comes after the release: 0 is the release. */
  readonly post: number;
  readonly postNumber: Whole;
  readonly revision: Whole;
}

const preSuffixes = ["alpha", "beta", "pre", "rc"];
const postSuffixes = ["", "cvs", "svn", "git", "hg", "p"];
/** The rank of a version without `_alpha` to `_rc`. */
export const noPre = preSuffixes.length;

const grammar =
  /^([0-9]+(?:\.[0-9]+)*)([a-z])?(?:_(alpha|beta|pre|rc)([0-9]*))?(?:_(cvs|svn|git|hg|p)([0-9]*))?(?:-r([0-9]+))?$/;
const largest = 9223372036854775807n;

/** Undefined where the text is no version. */
export function parseVersion(text: string): Version | undefined {
  const match = grammar.exec(text);
  if (!match) return undefined;
  const [, release = "", letter = "", pre, preNumber, post, postNumber, revision] = match;
  const numbers = release.split(".").map(whole);
  const rest = [preNumber, postNumber, revision].map((digits) => whole(digits || "0"));
  if (numbers.includes(undefined) || rest.includes(undefined)) return undefined;
  return {
    numbers: numbers as Whole[],
    letter,
    pre: pre === undefined ? noPre : preSuffixes.indexOf(pre),
    preNumber: rest[0] as Whole,
    post: post === undefined ? 0 : postSuffixes.indexOf(post),
    postNumber: rest[1] as Whole,
    revision: rest[2] as Whole,
  };
}

/** Below 0, 0 or above 0, as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: Version, b: Version): number {
  const shared = Math.min(a.numbers.length, b.numbers.length);
  for (let at = 0; at < shared; at++) {
    const order = compare(a.numbers[at] as Whole, b.numbers[at] as Whole);
    if (order !== 0) return order;
  }
  return (
    a.numbers.length - b.numbers.length ||
    compare(a.letter, b.letter) ||
    a.pre - b.pre ||
    compare(a.preNumber, b.preNumber) ||
    a.post - b.post ||
    compare(a.postNumber, b.postNumber) ||
    compare(a.revision, b.revision)
  );
}

/**
 * Whether `actual` lies under `wanted`, as `~1.2` asks: it begins with the same numbers. Where it has no more numbers than those, the other
 * parts that `wanted` has must be equal too; a number or revision of 0 asks for nothing.
 */
export function isUnder(actual: Version, wanted: Version): boolean {
  if (wanted.numbers.some((number, at) => number !== actual.numbers[at])) return false;
  if (actual.numbers.length > wanted.numbers.length) return true;
  return (
    (wanted.letter === "" || wanted.letter === actual.letter) &&
    (wanted.pre === noPre || wanted.pre === actual.pre) &&
    (wanted.preNumber === 0 || wanted.preNumber === actual.preNumber) &&
    (wanted.post === 0 || wanted.post === actual.post) &&
    (wanted.postNumber === 0 || wanted.postNumber === actual.postNumber) &&
    (wanted.revision === 0 || wanted.revision === actual.revision)
  );
}

function whole(digits: string): Whole | undefined {
  if (digits.length <= 15) return Number(digits);
  const large = BigInt(digits);
  if (large > largest) return undefined;
  return large <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(large) : large;
}

function compare<T extends Whole | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
