/** Whether this process may do what only root may: mount, install, create users. */
export const isRoot = (): boolean => process.getuid?.() === 0;
