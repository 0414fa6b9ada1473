import type { Tell } from "./events.ts";

/** What a task is told and timed with. */
export interface TaskTeller {
  readonly tell: Tell;
  readonly now: () => Date;
}

/** Tells how far a task is: done so far and, where known, in all. */
export type OnTaskProgress = (done: number, total?: number) => void;

/**
 * Does a piece of work that takes a while, and tells when it starts, how far it is and when it has ended. Work that rejects has no end that
 * is told: the build tells of its failure. `task` is unique in the build.
 */
export async function runTask<T>(
  { tell, now }: TaskTeller,
  task: { readonly id: string; readonly label: string },
  work: (onProgress: OnTaskProgress) => Promise<T>,
): Promise<T> {
  const started = now();
  tell({ type: "task-started", task: task.id, label: task.label, time: started.toISOString() });
  const result = await work((done, total) =>
    tell({ type: "task-progress", task: task.id, done, ...(total === undefined ? {} : { total }) }),
  );
  tell({ type: "task-finished", task: task.id, duration: now().getTime() - started.getTime() });
  return result;
}
