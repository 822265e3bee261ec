// What core-crypto cannot do without, given to the engine from outside: its own code stays as it is.
type Library = typeof import('ts-mls');

/** How the engine makes what it makes, as a test sets it. At first: as in an app. */
export const manner = {
  /** Commits as PublicMessages, the only ones that core-crypto reads. */
  publicCommits: false,
  /** Leaves say that they understand X.509, as a group that core-crypto founded demands. */
  claimsX509: false,
};

/** For `vi.mock('ts-mls', ...)`. */
export function withManner(library: Library): Library {
  return {
    ...library,
    createCommit: (context, options) =>
      library.createCommit(context, { ...options, wireAsPublicMessage: manner.publicCommits }),
    generateKeyPackageWithKey: (credential, capabilities, ...rest) => {
      const credentials = manner.claimsX509 ? (['basic', 'x509'] as const) : ['basic' as const];
      const claimed = { ...capabilities, credentials: [...credentials] };
      return library.generateKeyPackageWithKey(credential, claimed, ...rest);
    },
  };
}
