/** Why a change of users and roles is refused, by the names that etcd has for it. */
import { type ErrorCode, MusterError } from "../../base/errors.ts";

const REFUSALS = {
  userEmpty: "Name the user: the name is empty",
  userAlreadyExist: "Choose another name: there is a user of this one",
  userNotFound: "Look at the list of users: there is none of this name",
  noPasswordUser: "Give a password, or a hash of one in base64",
  roleEmpty: "Name the role: the name is empty",
  roleAlreadyExist: "Choose another name: there is a role of this one",
  roleNotFound: "Look at the list of roles: there is none of this name",
  roleNotGranted: "Look at the user's roles: this is none of them",
  permissionNotGranted: "Look at the role's permissions: there is none for exactly these keys",
  invalidAuthMgmt: "Give a range of keys that begins with a key and ends behind it",
  rootUserNotExist: 'Make the user "root" first: there is none',
  rootRoleNotExist: 'Grant the role "root" to the user "root" first: it does not have it',
} as const;

export type AuthRefusal = keyof typeof REFUSALS;

const CODE = "authRefused" satisfies ErrorCode;

/** The error to throw. */
export function refusedAuth(reason: AuthRefusal): MusterError {
  return new MusterError(CODE, REFUSALS[reason], { details: { reason } });
}

/** What `refusedAuth` was given; undefined for any other error. */
export function authRefusalOf(error: unknown): AuthRefusal | undefined {
  if (!(error instanceof MusterError) || error.code !== CODE) return undefined;
  const { reason } = error.details;
  return isRefusal(reason) ? reason : undefined;
}

function isRefusal(reason: unknown): reason is AuthRefusal {
  return typeof reason === "string" && Object.hasOwn(REFUSALS, reason);
}
