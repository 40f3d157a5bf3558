"""Rights that a user or a group may have, by their names."""

from homelab_lib.twin.machine.appliance import Release

_NAMES = """
    page-all: All pages
    page-dhcp-kea-ctrl-agent: Services: DHCP: Kea Ctrl Agent
    page-dhcp-kea-ddns: Services: DHCP: Kea DDNS Agent
    page-dhcp-kea-v4: Services: DHCP: Kea(v4)
    page-dhcp-kea-v6: Services: DHCP: Kea(v6)
    page-diagnostics-arptable: Diagnostics: ARP Table
    page-diagnostics-authentication: Diagnostics: Authentication
    page-diagnostics-backup-restore: System: Configuration: Backups
    page-diagnostics-configurationhistory: Diagnostics: Configuration History
    page-diagnostics-crash-reporter: System: Crash Reporter
    page-diagnostics-dns_diagnostics: Interfaces: Diagnostics: DNS Lookup
    page-diagnostics-factorydefaults: Diagnostics: Factory defaults
    page-diagnostics-haltsystem: Diagnostics: Halt system
    page-diagnostics-health: Diagnostics: System Health
    page-diagnostics-limiter-info: Diagnostics: Shaper status
    page-diagnostics-logs-dnsmasq: Services: Dnsmasq DNS/DHCP: Log File
    page-diagnostics-logs-firewall-dynamic: Diagnostics: Logs: Firewall: Live View
    page-diagnostics-logs-firewall-general: Diagnostics: Log: Firewall: General
    page-diagnostics-logs-firewall-plain: Diagnostics: Logs: Firewall: Plain View
    page-diagnostics-logs-firewall-summary: Diagnostics: Logs: Firewall: Summary View
    page-diagnostics-logs-gateways: Diagnostics: Logs: Gateways
    page-diagnostics-logs-hostdiscovery: Interfaces: Neighbors: Discovery Log
    page-diagnostics-logs-kea: Services: DHCP: Kea Log File
    page-diagnostics-logs-resolver: Services: Unbound DNS: Log File
    page-diagnostics-logs-settings-targets: System: Settings: Logging
    page-diagnostics-logs-system: Diagnostics: Logs: System
    page-diagnostics-ndptable: Diagnostics: NDP Table
    page-diagnostics-netflow: Diagnostics: Netflow configuration
    page-diagnostics-netstat: Diagnostics: Netstat
    page-diagnostics-networkinsight: Diagnostics: Network Insight
    page-diagnostics-packetcapture: Diagnostics: Packet Capture
    page-diagnostics-pf-info: Diagnostics: Firewall statistics
    page-diagnostics-ping: Diagnostics: Ping
    page-diagnostics-rebootsystem: Diagnostics: Reboot System
    page-diagnostics-routingtables: Diagnostics: Routing tables
    page-diagnostics-showstates: Diagnostics: Show States
    page-diagnostics-system-activity: Diagnostics: System Activity
    page-diagnostics-system-pftop: Diagnostics: Firewall sessions
    page-diagnostics-tables: Diagnostics: PF Table IP addresses
    page-diagnostics-testport: Diagnostics: Test Port
    page-diagnostics-traceroute: Diagnostics: Traceroute
    page-diagnostics-wirelessstatus: Status: Wireless
    page-filter-api: Firewall: Rules [new]
    page-filter-snat-api: Firewall: NAT: Source NAT
    page-firewall-alias-edit: Firewall: Alias: Edit
    page-firewall-aliases: Firewall: Aliases
    page-firewall-categories: Firewall: Categories
    page-firewall-nat-1-1-edit: Firewall: NAT: 1:1
    page-firewall-nat-npt: Firewall: NAT: NPTv6
    page-firewall-nat-outbound: Firewall: NAT: Outbound
    page-firewall-nat-outbound-edit: Firewall: NAT: Outbound: Edit
    page-firewall-nat-portforward-edit: Firewall: NAT: Destination NAT
    page-firewall-rules: Firewall: Rules
    page-firewall-rules-edit: Firewall: Rules: Edit
    page-firewall-schedules: Firewall: Schedules
    page-firewall-schedules-edit: Firewall: Schedules: Edit
    page-firewall-scrub: Firewall: Normalization
    page-firewall-trafficshaper: Firewall: Shaper
    page-firewall-virtualipaddress-edit: Interfaces: Virtual IPs: Settings
    page-hostdiscovery: Interfaces: Neighbors: Automatic discovery
    page-interfaces: Interfaces: WAN
    page-interfaces-assignnetworkports: Interfaces: Assign network ports
    page-interfaces-bridge-edit: Interfaces: Bridge
    page-interfaces-gif-edit: Interfaces: GIF
    page-interfaces-gre-edit: Interfaces: GRE
    page-interfaces-groups-edit: Firewall: Groups
    page-interfaces-lagg-edit: Interfaces: LAGG: Edit
    page-interfaces-loopback: Interfaces: Loopback
    page-interfaces-neighbor: Interfaces: Neighbors
    page-interfaces-ppps: Interfaces: PPPs
    page-interfaces-ppps-edit: Interfaces: PPPs: Edit
    page-interfaces-vlan-edit: Interfaces: VLAN
    page-interfaces-vxlan: Interfaces: VXLAN
    page-interfaces-wireless: Interfaces: Wireless
    page-interfaces-wireless-edit: Interfaces: Wireless edit
    page-openvpn-client-export: VPN: OpenVPN: Client Export Utility
    page-openvpn-csc: VPN: OpenVPN: Client Specific Override
    page-openvpn-instances: VPN: OpenVPN: Instances
    page-services-captiveportal: Services: Captive Portal
    page-services-dhcprelay: Services: DHCRelay
    page-services-dnsforwarder: Services: Dnsmasq DNS/DHCP: Settings
    page-services-dnsresolver: Services: Unbound DNS: General
    page-services-dnsresolver-acls: Services: Unbound DNS: Access Lists
    page-services-dnsresolver-advanced: Services: Unbound DNS: Advanced
    page-services-dnsresolver-overrides: Services: Unbound DNS: Edit Host and Domain Override
    page-services-ids: Services: Intrusion Detection
    page-services-monit: WebCfg - Services: Monit System Monitoring page
    page-services-ntp-gps: Services: NTP GPS
    page-services-ntp-pps: Services: NTP PPS
    page-services-ntpd: Services: NTP
    page-services-opendns: Services: DNS Filter
    page-services-router-advertisements: Services: Router Advertisements: Settings
    page-services-unbound: Services: Unbound
    page-snapshots: System: Snapshots
    page-status-carp: Interfaces: Virtual IPs: Status
    page-status-dnsoverview: Status: DNS Overview
    page-status-habackup: Status: HA backup
    page-status-interfaces: Status: Interfaces
    page-status-ipsec: Status: IPsec
    page-status-ipsec-leases: Status: IPsec: Leasespage
    page-status-ipsec-sad: Status: IPsec: SAD
    page-status-ipsec-spd: Status: IPsec: SPD
    page-status-ntp: Status: NTP
    page-status-openvpn: Status: OpenVPN
    page-status-services: Status: Services
    page-status-systemlogs-ipsecvpn: Status: System logs: IPsec VPN
    page-status-systemlogs-ntpd: Status: System logs: NTP
    page-status-systemlogs-openvpn: Status: System logs: OpenVPN
    page-status-systemlogs-portalauth: Status: System logs: Captive portal
    page-status-systemlogs-ppp: Status: System logs: PPP
    page-status-systemlogs-routing: Status: System logs: Routing
    page-status-systemlogs-wireless: Status: System logs: Wireless
    page-status-trafficgraph: Reporting: Traffic
    page-system-advanced-admin: System: Advanced: Admin Access Page
    page-system-advanced-firewall: System: Advanced: Firewall and NAT
    page-system-advanced-misc: System: Advanced: Miscellaneous
    page-system-advanced-network: Interfaces: Settings
    page-system-advanced-sysctl: System: Advanced: Tunables
    page-system-authservers: System: Authentication Servers
    page-system-camanager: System: CA Manager
    page-system-certmanager: System: Certificate Manager
    page-system-crlmanager: System: CRL Manager
    page-system-cron: System: Settings: Cron
    page-system-firmware-manualupdate: System: Firmware
    page-system-gatewaygroups: System: Gateway Groups
    page-system-gateways: System: Gateways
    page-system-generalsetup: System: General Setup
    page-system-hasync: System: High Availability
    page-system-license: Lobby: License
    page-system-login-logout: Lobby: Dashboard
    page-system-staticroutes: System: Static Routes
    page-system-status: System: Status
    page-system-usermanager: System: Access: Management
    page-system-usermanager-passwordmg: Lobby: Password
    page-vpn-ipsec-connections: VPN: IPsec: Connections
    page-vpn-ipsec-editkeys: VPN: IPsec: Edit Pre-Shared Keys
    page-vpn-ipsec-keypairs: VPN: IPsec: Key Pairs
    page-wireguard-config: VPN: WireGuard: Configuration
    page-wireguard-diagnostics: VPN: WireGuard: Status
    page-wireguard-logs: VPN: WireGuard: Log
    page-wizard-system: System: Configuration: Wizard
    page-xmlrpclibrary: XMLRPC Library
    user-config-readonly: System: Deny config write
"""
_BEFORE_26_7 = """
    page-system-gateways-editgatewaygroups: System: Gateways: Edit Gateway Groups
    page-system-groupmanager: System: Access: Groups
    page-system-usermanager: System: Access: Users
    page-system-usermanager-addprivs: System: Access: Privileges
"""


def privileges(release: Release) -> dict[str, str]:
    """Rights by name.

    Parameters
    ----------
    release
        The series: some went with the pages that they were for.
    """
    lines = _NAMES + (_BEFORE_26_7 if release < (26, 7) else "")
    told = dict(line.strip().split(": ", 1) for line in lines.splitlines() if line.strip())
    return dict(sorted(told.items()))
