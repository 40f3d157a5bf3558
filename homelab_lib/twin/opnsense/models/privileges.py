"""Rights that a user or a group may have, by their names."""

_PAGES = """
    all dhcp-kea-ctrl-agent dhcp-kea-ddns dhcp-kea-v4 dhcp-kea-v6 diagnostics-arptable
    diagnostics-authentication diagnostics-backup-restore diagnostics-configurationhistory
    diagnostics-crash-reporter diagnostics-dns_diagnostics diagnostics-factorydefaults
    diagnostics-haltsystem diagnostics-health diagnostics-limiter-info diagnostics-logs-dnsmasq
    diagnostics-logs-firewall-dynamic diagnostics-logs-firewall-general
    diagnostics-logs-firewall-plain diagnostics-logs-firewall-summary diagnostics-logs-gateways
    diagnostics-logs-hostdiscovery diagnostics-logs-kea diagnostics-logs-resolver
    diagnostics-logs-settings-targets diagnostics-logs-system diagnostics-ndptable
    diagnostics-netflow diagnostics-netstat diagnostics-networkinsight diagnostics-packetcapture
    diagnostics-pf-info diagnostics-ping diagnostics-rebootsystem diagnostics-routingtables
    diagnostics-showstates diagnostics-system-activity diagnostics-system-pftop
    diagnostics-tables diagnostics-testport diagnostics-traceroute diagnostics-wirelessstatus
    filter-api filter-snat-api firewall-alias-edit firewall-aliases firewall-categories
    firewall-nat-1-1-edit firewall-nat-npt firewall-nat-outbound firewall-nat-outbound-edit
    firewall-nat-portforward-edit firewall-rules firewall-rules-edit firewall-schedules
    firewall-schedules-edit firewall-scrub firewall-trafficshaper firewall-virtualipaddress-edit
    hostdiscovery interfaces interfaces-assignnetworkports interfaces-bridge-edit
    interfaces-gif-edit interfaces-gre-edit interfaces-groups-edit interfaces-lagg-edit
    interfaces-loopback interfaces-neighbor interfaces-ppps interfaces-ppps-edit
    interfaces-vlan-edit interfaces-vxlan interfaces-wireless interfaces-wireless-edit
    openvpn-client-export openvpn-csc openvpn-instances services-captiveportal
    services-dhcprelay services-dnsforwarder services-dnsresolver services-dnsresolver-acls
    services-dnsresolver-advanced services-dnsresolver-overrides services-ids services-monit
    services-ntp-gps services-ntp-pps services-ntpd services-opendns
    services-router-advertisements services-unbound snapshots status-carp status-dnsoverview
    status-habackup status-interfaces status-ipsec status-ipsec-leases status-ipsec-sad
    status-ipsec-spd status-ntp status-openvpn status-services status-systemlogs-ipsecvpn
    status-systemlogs-ntpd status-systemlogs-openvpn status-systemlogs-portalauth
    status-systemlogs-ppp status-systemlogs-routing status-systemlogs-wireless
    status-trafficgraph system-advanced-admin system-advanced-firewall system-advanced-misc
    system-advanced-network system-advanced-sysctl system-authservers system-camanager
    system-certmanager system-crlmanager system-cron system-firmware-manualupdate
    system-gatewaygroups system-gateways system-generalsetup
    system-hasync system-license system-login-logout system-staticroutes
    system-status system-usermanager system-usermanager-passwordmg
    vpn-ipsec-connections vpn-ipsec-editkeys vpn-ipsec-keypairs wireguard-config
    wireguard-diagnostics wireguard-logs wizard-system xmlrpclibrary
""".split()  # noqa: SIM905 - one a line would be hundreds of lines
_OTHERS = """
    user-config-readonly
""".split()  # noqa: SIM905 - one a line would be hundreds of lines

_UNTIL_26_7 = (
    "page-system-gateways-editgatewaygroups",
    "page-system-groupmanager",
    "page-system-usermanager-addprivs",
)


def privileges(release: tuple[int, int]) -> dict[str, str]:
    """Rights by name.

    Parameters
    ----------
    release
        The series: some went with the pages that they were for.
    """
    gone = () if release >= (26, 7) else _UNTIL_26_7
    return {name: name for name in sorted([*(f"page-{p}" for p in _PAGES), *_OTHERS, *gone])}
