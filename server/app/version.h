/* What the program calls itself. Front ends compare versions of the form vX.Y.Z-N with the least they accept (Klipper
 * v0.11.0-257, Moonraker v0.8.0-309), so ours counts on from the releases whose behaviour it matches. */
#ifndef SERVER_APP_VERSION_H
#define SERVER_APP_VERSION_H

#define LOCKSTEP_VERSION "v0.13.0-730-lockstep-0.1"

#endif
