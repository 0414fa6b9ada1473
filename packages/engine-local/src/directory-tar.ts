import type { Bytes } from "@melange2/core";
import { readTar, type TarEntry } from "@melange2/oci";
import type { Host } from "./host.ts";
import { type Job, type JobOptions, startJob } from "./jobs.ts";

/** GNU tar's options for a tree: everything it can keep, the same bytes for the same tree. */
export function createOptions(directory: string): readonly string[] {
  return [
    `--directory=${directory}`,
    "--create",
    "--file=-",
    "--blocking-factor=2048",
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "--sort=name",
    "--",
  ];
}

/** The entries of a directory, as the root inside the sandboxes sees them. Ends with tar's own failure, if there is one. */
export function readDirectory(host: Host, directory: string, options: JobOptions): AsyncIterable<TarEntry> {
  return entriesOf(startJob(host, [host.tool("tar"), ...createOptions(directory), "."], options));
}

/** Entries of the tar that a job writes. */
export async function* entriesOf(job: Job): AsyncIterable<TarEntry> {
  job.stdin.end();
  try {
    yield* readTar(outputOf(job), { end: "optional" });
    await job.finished;
  } finally {
    job.kill();
  }
}

/** A job that fails cuts its output short: its own words come first. */
export async function* outputOf(job: Job): Bytes {
  yield* job.stdout as AsyncIterable<Uint8Array>;
  await job.finished;
}
