import { LockstepError } from '../../base/errors.ts';
import { ReplyError } from './client.ts';

/** Whether a step that failed was carried out: surely not, or nobody knows. */
export type Applied = 'no' | 'unknown';

/**
 * `UNAVAILABLE`, with what the server or the network said, and what to do. `details.applied` is as `Applied`. `wasThere`: it
 * has answered before.
 */
export function unavailable(name: string, reason: Error, applied: Applied, wasThere = true): LockstepError {
  const word = reason instanceof ReplyError ? reason.word : '';
  const advice = adviceOn[word] ?? (word === '' ? adviceOnSilence(name, wasThere) : '');
  const outcome = applied === 'no' ? 'Nothing was written.' : 'It may have been carried out.';
  const said = reason instanceof ReplyError ? 'refused a step' : 'does not answer';
  return new LockstepError('UNAVAILABLE', `${name} ${said} (${reason.message}). ${outcome} ${advice}`.trimEnd(), {
    cause: reason,
    details: { server: name, applied },
  });
}

function adviceOnSilence(name: string, wasThere: boolean): string {
  if (wasThere) return 'Lockstep goes on by itself when it is back.';
  if (name.startsWith('rediss')) return 'Is it there, and does it speak TLS?';
  return name.startsWith('redis:') ? 'Is it there, and does it speak without TLS?' : 'Is it there?';
}

export function closedError(name: string): LockstepError {
  return new LockstepError('CLOSED', `The connection to ${name} was closed. Open it again.`, {
    details: { server: name },
  });
}

/** By the first word of the server's reply. */
const adviceOn: Readonly<Record<string, string>> = {
  LOADING: 'It reads its data from disk, and answers when it has.',
  READONLY: 'It is a replica: open the master, or redis+sentinel:, which finds the master.',
  MASTERDOWN: 'It is a replica whose master is down: open the master, or redis+sentinel:, which finds it.',
  OOM: 'Its memory is full: raise maxmemory, or delete what is not needed.',
  MISCONF: "It can't save to its disk: see its log.",
  NOREPLICAS: 'Too few replicas are connected (min-replicas-to-write).',
  NOAUTH: 'Give the password: redis://user:password@host.',
  WRONGPASS: 'Correct the user or the password in the address.',
  NOPERM: 'The rules of this ACL user are too narrow: docs/redis.md lists what is needed.',
  BUSY: 'Another script has run for too long: SCRIPT KILL ends it.',
  MOVED: 'It is a node of a cluster: open redis+cluster://host:port.',
  CLUSTERDOWN: 'A part of the cluster has no master: CLUSTER INFO and CLUSTER NODES say which.',
  TRYAGAIN: 'Its slot is being moved to another node, with some keys here and some there.',
};
