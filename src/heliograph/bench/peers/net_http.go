// Go's net/http over HTTP/2, as APNs clients in Go use it: a pool of goroutines that share a
// client. Standard library only. Reads a task, prints a report; see work.py.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

type task struct {
	Origin      string      `json:"origin"`
	Count       int         `json:"count"`
	CaFile      string      `json:"ca_file"`
	Path        string      `json:"path"`
	Body        string      `json:"body"`
	Headers     [][2]string `json:"headers"`
	TokenPrefix string      `json:"token_prefix"`
	Streams     int         `json:"streams"`
}

type report struct {
	Sent        int     `json:"sent"`
	Requests    int     `json:"requests"`
	CpuSeconds  float64 `json:"cpu_seconds"`
	WallSeconds float64 `json:"wall_seconds"`
	PeakBytes   int64   `json:"peak_bytes"`
}

const hole = "%TOKEN%"

func main() {
	var given task
	check(json.NewDecoder(os.Stdin).Decode(&given))
	client := &http.Client{Transport: transport(given)}
	tokens := make([]string, given.Count+1)
	for number := range tokens {
		tokens[number] = fmt.Sprintf("%s%064x", given.TokenPrefix, number)
	}
	post(client, given, tokens[0])

	began, cpu := time.Now(), cpuSeconds()
	queue := make(chan string)
	var workers sync.WaitGroup
	for range given.Streams {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for token := range queue {
				post(client, given, token)
			}
		}()
	}
	for _, token := range tokens[1:] {
		queue <- token
	}
	close(queue)
	workers.Wait()
	done := report{
		Sent:        given.Count,
		Requests:    given.Count + 1,
		CpuSeconds:  cpuSeconds() - cpu,
		WallSeconds: time.Since(began).Seconds(),
		PeakBytes:   peakBytes(),
	}
	check(json.NewEncoder(os.Stdout).Encode(done))
}

func transport(given task) *http.Transport {
	pem, err := os.ReadFile(given.CaFile)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
		MaxConnsPerHost:   1,
	}
}

func post(client *http.Client, given task, token string) {
	url := given.Origin + strings.Replace(given.Path, hole, token, 1)
	body := []byte(strings.Replace(given.Body, hole, token, 1))
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	check(err)
	for _, field := range given.Headers {
		request.Header.Set(field[0], field[1])
	}
	response, err := client.Do(request)
	check(err)
	_, err = io.Copy(io.Discard, response.Body)
	check(err)
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		check(fmt.Errorf("answered %s %s", response.Proto, response.Status))
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// The most memory resident; 0 where there is no such file.
func peakBytes() int64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var kilobytes int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes * 1024
		}
	}
	return 0
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
