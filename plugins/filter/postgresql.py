"""Filter that tells why an app cannot have a database."""

from __future__ import annotations

from collections.abc import Mapping


def refusal(found: Mapping, role: str, database: str, mark: str) -> str:
    """What of a server is not an app's, or would let others in; '' if the app can have its database there.

    Args:
        found: the row of state.sql.
        role, database: those of the app.
        mark: the comment by which the app's own are known.
    """
    if found['owner'] and found['owner'] != role:
        return (
            f"the database {database} belongs to the role {found['owner']}, not to {role}. If it is this app's, run on the host: "
            f"""sudo -u postgres psql -c 'ALTER DATABASE "{database}" OWNER TO "{role}"'. If not, set another flask_app_name."""
        )
    if found['role'] and not found['owner'] and found['mark'] != mark:
        return (
            f'the role {role} was made by somebody else. If this app may have it, and no right of it but those to its own database, run on '
            f"""the host: sudo -u postgres psql -c 'COMMENT ON ROLE "{role}" IS $${mark}$$'. If not, set another flask_app_user."""
        )
    if found['open']:
        return (
            f"{found['hba']} lets everybody be the role {role}: line {found['open']} has `trust`. Write `peer` there, or `scram-sha-256` "
            'in a line that begins with `host`, run `sudo systemctl reload postgresql`, and deploy again.'
        )
    return ''


class FilterModule:
    """Filter `postgresql_refusal`; see the function."""

    def filters(self) -> dict:
        """The filters by name."""
        return {'postgresql_refusal': refusal}
