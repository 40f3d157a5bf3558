"""What a lab has whose guests are backed up onto a Proxmox Backup Server, by a token."""

SECRET = "8c2f0f3a-1111-2222-3333-444455556666"
GUESTS = {
    "host": "proxmox",
    "guests": ["k3s-control"],
    "storage": "pbs",
    "schedule": "30 2 * * *",
    "keep": {"daily": 7},
    "medium": "the backup server's disks",
    "phase": 4,
}
ENTERED = {
    "kind": "pbs",
    "content": ["backup"],
    "datastore": "house",
    "username": "pve@pbs!node",
    "password": "env:PBS_TOKEN",
    "phase": 4,
}
